use std::time::Duration;

use pinchpoint_measure::Demand;
use pinchpoint_plan::{Connection, Experiment, Pace};
use pinchpoint_sql::{Dsn, Hold};
use pinchpoint_stack::Cancel;

use super::subject::{Opened, Subject};
use super::{database, proxy_to, through};
use crate::error::LabError;
use crate::resolve::Settled;
use crate::rung_load::{Opening, open_with};
use crate::server::Server;

/// A rung of a ladder.
pub(crate) struct RungSubject<'a> {
    pub(crate) server: &'a mut Server,
    pub(crate) experiment: &'a Experiment,
    pub(crate) variant: &'a str,
    pub(crate) rung: &'a Settled,
    pub(crate) seed: u64,
    pub(crate) cancel: &'a Cancel,
    pub(crate) hold_ms: Option<f64>,
}

impl Subject for RungSubject<'_> {
    fn variant(&self) -> &str {
        self.variant
    }

    fn users(&self) -> u32 {
        self.rung.concurrency
    }

    fn trial(&self) -> Duration {
        self.experiment.load.duration
    }

    fn hold_ms(&self) -> Option<f64> {
        self.hold_ms
    }

    fn demands(&self) -> &'static [Demand] {
        &database::DEMANDS
    }

    fn obstacle(&self, demand: Demand) -> Option<String> {
        if self.experiment.load.pace != Pace::FlatOut {
            return Some(database::SCHEDULED.to_owned());
        }
        if demand == Demand::WalFlush && self.server.is_managed() && !self.rung.write {
            return Some("nothing is written".to_owned());
        }
        let (of_server, users) = (database::obstacle(self.server, demand), self.rung.concurrency);
        of_server.or_else(|| match self.rung.connection {
            _ if demand != Demand::Hold => None,
            Connection::PerOperation => Some(
                "there is no pool, and an operation is one statement: nobody waits for what it \
                 holds"
                    .to_owned(),
            ),
            Connection::Pool { max, .. } if max >= users => Some(
                "the pool has a connection for every user, and an operation is one statement: \
                 nobody waits for what it holds"
                    .to_owned(),
            ),
            Connection::Pool { .. } => None,
        })
    }

    fn admin(&self) -> &Dsn {
        self.server.dsn()
    }

    async fn reset(&mut self) -> Result<(), LabError> {
        self.server.reset_table(&self.experiment.table).await
    }

    async fn open(&mut self, by_proxy: bool, hold: Hold) -> Result<Opened, LabError> {
        let proxy = if by_proxy { Some(proxy_to(self.server.dsn())?) } else { None };
        let dsn = proxy.as_ref().map(|proxy| through(self.server.dsn(), proxy));
        let opening = Opening { dsn, hold: Some(hold) };
        let (experiment, rung) = (self.experiment, self.rung);
        let session =
            open_with(self.server, experiment, rung, self.seed, None, self.cancel, opening).await?;
        Ok(Opened { session, proxy })
    }

    fn pid(&self, _: Demand) -> Option<u32> {
        self.server.pid()
    }

    fn cpus(&self, _: Demand) -> Option<f64> {
        self.server.cpus()
    }

    fn set_cpus(&self, _: Demand, cpus: f64) -> Result<(), LabError> {
        self.server.set_cpus(cpus)
    }
}
