use std::sync::Arc;
use std::time::Duration;

use pinchpoint_load::Session;
use pinchpoint_measure::Demand;
use pinchpoint_plan::Pace;
use pinchpoint_script::Program;
use pinchpoint_sql::{Dsn, Hold};
use pinchpoint_stack::Cancel;

use super::subject::{Opened, Subject};
use super::{database, proxy_to, through};
use crate::error::LabError;
use crate::rung_load::cancelled;
use crate::server::Server;
use crate::sql_flat_out::flat_out;
use crate::sql_job::{SqlConnection, SqlJob};

/// A load of scripts.
pub(crate) struct ScriptSubject<'a> {
    pub(crate) server: &'a mut Server,
    pub(crate) job: &'a SqlJob,
    pub(crate) program: &'a Arc<Program>,
    pub(crate) variant: &'a str,
    pub(crate) seed: u64,
    pub(crate) cancel: &'a Cancel,
    pub(crate) hold_ms: Option<f64>,
}

impl Subject for ScriptSubject<'_> {
    fn variant(&self) -> &str {
        self.variant
    }

    fn users(&self) -> u32 {
        self.job.clients
    }

    fn trial(&self) -> Duration {
        self.job.load.duration
    }

    fn hold_ms(&self) -> Option<f64> {
        self.hold_ms
    }

    fn demands(&self) -> &'static [Demand] {
        &database::DEMANDS
    }

    fn obstacle(&self, demand: Demand) -> Option<String> {
        if self.job.load.pace != Pace::FlatOut {
            return Some(database::SCHEDULED.to_owned());
        }
        if self.job.transactions.is_some() {
            // What was asked for is a number of transactions, not some more of them.
            return Some("the transactions are counted, and a probe would make more".to_owned());
        }
        let of_server = database::obstacle(self.server, demand);
        of_server.or_else(|| match self.job.connection {
            _ if demand != Demand::Hold => None,
            SqlConnection::Own => {
                Some("each client has a connection of its own: nobody waits for it".to_owned())
            }
            SqlConnection::PerTransaction => {
                Some("there is no pool: nobody waits for a connection".to_owned())
            }
            SqlConnection::Pool(size) if size >= self.job.clients => {
                Some("the pool has a connection for every client: nobody waits for one".to_owned())
            }
            SqlConnection::Pool(_) => None,
        })
    }

    fn admin(&self) -> &Dsn {
        self.server.dsn()
    }

    /// As between trials, the tables stay as the scripts have left them.
    async fn reset(&mut self) -> Result<(), LabError> {
        if self.server.is_managed() {
            self.server.execute("CHECKPOINT", "write a checkpoint").await?;
        }
        Ok(())
    }

    async fn open(&mut self, by_proxy: bool, hold: Hold) -> Result<Opened, LabError> {
        let proxy = if by_proxy { Some(proxy_to(self.server.dsn())?) } else { None };
        let straight = || self.server.dsn().clone();
        let dsn = proxy.as_ref().map_or_else(straight, |p| through(self.server.dsn(), p));
        let (driver, load) = flat_out(self.job, self.program, dsn, self.seed)?;
        let driver = driver.holding(hold);
        tokio::select! {
            session = Session::open(Arc::new(driver), &load) => {
                Ok(Opened { session: session?, proxy })
            }
            () = cancelled(self.cancel) => Err(LabError::Interrupted),
        }
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
