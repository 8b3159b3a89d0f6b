//! Probes: one demand after the other is made larger on purpose, and the slope is read.

mod knob;
mod server_side;
mod slices;

use pinchpoint_diagnose::{ProbeReading, probe_figures};
use pinchpoint_measure::{DEMANDS, Demand, Event, Probe};
use pinchpoint_plan::{Connection, Experiment, Pace};
use pinchpoint_proxy::{Proxy, Shape, Upstream};
use pinchpoint_sql::{Dsn, Hold, SslMode};
use pinchpoint_stack::Cancel;

use crate::error::LabError;
use crate::resolve::Settled;
use crate::rung_load::{Opening, open_with, settle_grace};
use crate::server::Server;
use knob::{Knob, Pilot};
use server_side::ServerSide;
use slices::Slices;

/// Pairs of slices, one as it was and one slowed.
const PAIRS: usize = 6;
/// About how long the probes of a rung take, in seconds.
pub(crate) fn probes_s(experiment: &Experiment) -> f64 {
    let slices = 2.0 + 2.0 * PAIRS as f64 * 1.25;
    3.0 * (1.0 + slices * slices::slice_of(experiment.load.duration).as_secs_f64())
}

/// The probes of one rung.
pub(crate) struct Proving<'a> {
    pub(crate) server: &'a mut Server,
    pub(crate) experiment: &'a Experiment,
    pub(crate) variant: &'a str,
    pub(crate) rung: &'a Settled,
    pub(crate) seed: u64,
    pub(crate) cancel: &'a Cancel,
    /// For how long an operation keeps its connection, in milliseconds, as the trials measured it.
    pub(crate) hold_ms: Option<f64>,
}

impl Proving<'_> {
    /// Makes one probe after the other. What cannot be probed is in the list with its reason; an
    /// error ends the run. Whatever was changed is as it was when this returns.
    pub(crate) async fn run(
        mut self,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Probe>, LabError> {
        let mut probes = Vec::new();
        for demand in DEMANDS {
            let what = format!("{}: probing {}", self.variant, demand.title());
            let probe = match self.obstacle(demand) {
                Some(reason) => not_made(demand, reason),
                None => {
                    tell(&Event::Preparing { what });
                    self.probe(demand).await?
                }
            };
            tell(&Event::Probe { variant: self.variant.to_owned(), probe: probe.clone() });
            probes.push(probe);
        }
        Ok(probes)
    }

    /// Why a demand cannot be made larger here, as far as that is known beforehand.
    fn obstacle(&self, demand: Demand) -> Option<String> {
        if self.experiment.load.pace != Pace::FlatOut {
            return Some("a schedule sets the throughput, so it does not answer".to_owned());
        }
        let ours = self.server.is_managed();
        match demand {
            Demand::ServerCpu | Demand::WalFlush if !ours => {
                Some("the server is not ours, and is not slowed down".to_owned())
            }
            Demand::WalFlush if !self.rung.write => Some("nothing is written".to_owned()),
            Demand::RoundTrip if self.server.dsn().ssl_mode == SslMode::VerifyFull => {
                Some("sslmode=verify-full lets nobody stand in the way".to_owned())
            }
            Demand::Hold => match self.rung.connection {
                Connection::PerOperation => Some(
                    "there is no pool, and an operation is one statement: nobody waits for what \
                     it holds"
                        .to_owned(),
                ),
                Connection::Pool { max, .. } if max >= self.rung.concurrency => Some(
                    "the pool has a connection for every user, and an operation is one statement: \
                     nobody waits for what it holds"
                        .to_owned(),
                ),
                Connection::Pool { .. } => None,
            },
            _ => None,
        }
    }

    async fn probe(&mut self, demand: Demand) -> Result<Probe, LabError> {
        self.server.reset_table(&self.experiment.table).await?;
        let mut side = ServerSide::open(self.server.dsn()).await?;
        if demand == Demand::WalFlush
            && let Err(reason) = side.time_flushes(true).await
        {
            return Ok(not_made(demand, reason));
        }
        let slowed = self.slow_down(demand, &mut side).await;
        if demand == Demand::WalFlush {
            // It ends with the server in any case; an error of the load says more than one of this.
            let _ = side.time_flushes(false).await;
        }
        slowed
    }

    async fn slow_down(
        &mut self,
        demand: Demand,
        side: &mut ServerSide,
    ) -> Result<Probe, LabError> {
        let hold = Hold::default();
        let proxy = match demand {
            Demand::RoundTrip => Some(proxy_to(self.server.dsn())?),
            _ => None,
        };
        let opening = Opening {
            dsn: proxy.as_ref().map(|p| through(self.server.dsn(), p)),
            hold: Some(hold.clone()),
        };
        let (experiment, rung) = (self.experiment, self.rung);
        let mut session =
            open_with(self.server, experiment, rung, self.seed, None, self.cancel, opening).await?;
        session.start();
        let flushes_before = side.flushes().await;
        let mut slices = Slices::new(
            &session,
            slices::slice_of(self.experiment.load.duration),
            self.server.pid(),
            self.cancel,
        );
        slices.warm_up().await?;
        let pilot = Pilot {
            slice: slices.take().await?,
            users: f64::from(self.rung.concurrency),
            cpus: self.server.cpus(),
            round_trip_ms: side.round_trip_ms().await,
            hold_ms: self.hold_ms,
        };
        let knob = Knob::choose(demand, &pilot, proxy, hold);
        let outcome = match knob {
            Ok(knob) => {
                let pairs = turn_by_turn(&knob, &mut slices, self.server, side).await;
                // As it was, whatever came of it.
                let restored = knob.turn(false, self.server, side).await;
                match (pairs, restored) {
                    (Err(error), _) => Err(error),
                    (_, Err(reason)) | (Ok(Err(reason)), _) => Ok(Err(reason)),
                    (Ok(Ok(pairs)), Ok(())) => Ok(Ok((knob, pairs))),
                }
            }
            Err(reason) => Ok(Err(reason)),
        };
        let cpu_ms = slices.cpu_ms_per_op();
        session.settle(settle_grace(self.cancel)).await?;
        session.close().await;
        let (knob, pairs) = match outcome? {
            Ok(made) => made,
            Err(reason) => return Ok(not_made(demand, reason)),
        };
        let flush_ms = side.flush_ms_since(flushes_before).await;
        let Some((demand_ms, added_ms)) = knob.demand(cpu_ms, flush_ms, &pilot) else {
            return Ok(not_made(demand, knob.unknown().to_owned()));
        };
        let reading = ProbeReading { users: pilot.users, pairs: &pairs, demand_ms, added_ms };
        let figures = probe_figures(&reading);
        let reason = figures.is_none().then(|| "a slice passed without an operation".to_owned());
        Ok(Probe { demand, means: knob.means(), figures, reason, finding: None })
    }
}

/// Slices in the order ABBA, so that drift favours neither. The inner error is the reason for which
/// the knob does not turn.
async fn turn_by_turn(
    knob: &Knob,
    slices: &mut Slices<'_>,
    server: &Server,
    side: &mut ServerSide,
) -> Result<Result<Vec<[f64; 2]>, String>, LabError> {
    let mut pairs = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let mut rates = [0.0; 2];
        for slowed in if pair % 2 == 0 { [false, true] } else { [true, false] } {
            if let Err(reason) = knob.turn(slowed, server, side).await {
                return Ok(Err(reason));
            }
            slices.settle().await?;
            rates[usize::from(slowed)] = slices.take_as(slowed).await?.per_s;
        }
        pairs.push(rates);
    }
    Ok(Ok(pairs))
}

fn not_made(demand: Demand, reason: String) -> Probe {
    Probe { demand, means: String::new(), figures: None, reason: Some(reason), finding: None }
}

fn proxy_to(dsn: &Dsn) -> Result<Proxy, LabError> {
    let upstream = if dsn.is_unix() {
        Upstream::Unix(format!("{}/.s.PGSQL.{}", dsn.host, dsn.port).into())
    } else {
        Upstream::Tcp(dsn.host.clone(), dsn.port)
    };
    Proxy::start(upstream, Shape::default())
        .map_err(|error| LabError::Unsuitable(format!("no proxy: {error}")))
}

fn through(dsn: &Dsn, proxy: &Proxy) -> Dsn {
    Dsn { host: proxy.address().ip().to_string(), port: proxy.port(), ..dsn.clone() }
}
