//! Probes: one demand after the other is made larger on purpose, and the slope is read.

mod database;
mod knob;
mod rung;
mod script;
mod server_side;
mod slices;
mod subject;

use std::time::Duration;

use pinchpoint_diagnose::{ProbeReading, probe_figures};
use pinchpoint_load::{Session, warm_up};
use pinchpoint_measure::{Demand, Event, Phase, Probe, Summary};
use pinchpoint_proxy::{Proxy, Shape, Upstream};
use pinchpoint_sql::{Dsn, Hold};
use pinchpoint_stack::Cancel;

use crate::error::LabError;
use crate::rung_load::{concerns_rung, settle_grace};
use knob::{Knob, Pilot};
use server_side::ServerSide;
use slices::Slices;

pub(crate) use database::SCHEDULED;
pub(crate) use rung::RungSubject;
pub(crate) use script::ScriptSubject;
pub(crate) use server_side::shortest_ms;
pub(crate) use subject::{Opened, Subject};

/// Pairs of slices, one as it was and one slowed.
const PAIRS: usize = 6;
/// About how many demands can be made larger where all goes well.
const DEMANDS_MADE: f64 = 3.0;
/// Writes an operation below which nothing is written: a background process may, now and then.
const WRITES: f64 = 0.01;

/// About how long the probes of a load take whose trials take this long, in seconds.
pub(crate) fn probes_s(trial: Duration) -> f64 {
    let slices = 2.0 + 2.0 * PAIRS as f64 * 1.25;
    DEMANDS_MADE * (1.0 + slices * slices::slice_of(trial).as_secs_f64())
}

/// For how long an operation keeps its connection from others, in milliseconds.
pub(crate) fn hold_ms(summary: &Summary) -> f64 {
    let waits = [Phase::Schedule, Phase::Checkout, Phase::Tcp, Phase::Tls, Phase::Auth];
    summary.phases_ms.iter().filter(|(phase, _)| !waits.contains(phase)).map(|(_, ms)| ms).sum()
}

/// Makes one probe after the other. What cannot be probed is in the list with its reason; an error
/// ends the run. Whatever was changed is as it was when this returns.
pub(crate) async fn prove<S: Subject>(
    subject: &mut S,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&Event),
) -> Result<Vec<Probe>, LabError> {
    let mut probes = Vec::new();
    for demand in subject.demands() {
        let what = format!("{}: probing {}", subject.variant(), demand.title());
        let probe = match subject.obstacle(*demand) {
            Some(reason) => not_made(*demand, reason),
            None => {
                tell(&Event::Preparing { what });
                Proving { subject, demand: *demand, cancel }.probe().await?
            }
        };
        tell(&Event::Probe { variant: subject.variant().to_owned(), probe: probe.clone() });
        probes.push(probe);
    }
    Ok(probes)
}

/// One demand of one load.
struct Proving<'a, S> {
    subject: &'a mut S,
    demand: Demand,
    cancel: &'a Cancel,
}

/// How often an operation demands something, by what was counted while some were made.
#[derive(Debug, Clone, Copy)]
struct Often {
    /// Round trips an operation; absent where nobody stands in the way and counts.
    trips: Option<f64>,
    /// Transactions an operation that write.
    writes: Option<f64>,
}

/// What was counted up to a moment.
#[derive(Debug, Clone, Copy)]
struct Counted {
    operations: u64,
    trips: Option<u64>,
    writes: Option<u64>,
}

impl Counted {
    fn since(self, before: Self) -> Often {
        let operations = self.operations.saturating_sub(before.operations);
        let each = |now: Option<u64>, before: Option<u64>| {
            (operations > 0)
                .then(|| Some(now?.saturating_sub(before?) as f64 / operations as f64))?
        };
        Often { trips: each(self.trips, before.trips), writes: each(self.writes, before.writes) }
    }
}

impl<S: Subject> Proving<'_, S> {
    async fn probe(&mut self) -> Result<Probe, LabError> {
        self.subject.reset().await?;
        let mut side = ServerSide::open(self.subject.admin()).await?;
        if self.demand == Demand::WalFlush
            && let Err(reason) = side.time_flushes(true).await
        {
            return Ok(not_made(self.demand, reason));
        }
        let slowed = self.slow_down(&mut side).await;
        if self.demand == Demand::WalFlush {
            // It ends with the server in any case; an error of the load says more than one of this.
            let _ = side.time_flushes(false).await;
        }
        match slowed {
            // Connections that cannot be opened, and what does not start, concern this load only.
            Err(error) if concerns_rung(&error) || does_not_start(&error) => {
                self.subject.closed();
                Ok(not_made(self.demand, error.to_string()))
            }
            other => other,
        }
    }

    async fn slow_down(&mut self, side: &mut ServerSide) -> Result<Probe, LabError> {
        let (demand, cancel) = (self.demand, self.cancel);
        let hold = Hold::default();
        let by_proxy = demand == Demand::RoundTrip;
        let Opened { mut session, proxy } = self.subject.open(by_proxy, hold.clone()).await?;
        let count = async |side: &mut ServerSide, session: &Session, trips: Option<u64>| {
            let writes = if demand == Demand::WalFlush { side.writes().await } else { None };
            Counted { operations: session.totals().operations, trips, writes }
        };
        let trips = |proxy: Option<&Proxy>| proxy.map(Proxy::round_trips);
        // With nothing under way: what is demanded before it is answered is never missed, so that none
        // means none, however few operations end.
        let at_rest = count(side, &session, trips(proxy.as_ref())).await;
        session.start();
        let flushes_before = side.flushes().await;
        let length = slices::slice_of(self.subject.trial());
        let mut slices = Slices::new(&session, length, self.subject.pid(demand), cancel);
        match self.subject.warm_up() {
            None => slices.warm_up().await?,
            Some(policy) => {
                warm_up(&session, policy, |_| !cancel.is_cancelled()).await;
            }
        }
        let warm = count(side, &session, trips(proxy.as_ref())).await;
        let slice = slices.take().await?;
        let often = count(side, &session, trips(proxy.as_ref())).await.since(at_rest);
        let round_trip_ms = match side.round_trip_ms().await {
            Some(ms) if by_proxy => Some(ms + self.subject.detour_ms().await),
            other => other,
        };
        let pilot = Pilot {
            slice,
            users: f64::from(self.subject.users()),
            cpus: self.subject.cpus(demand),
            most_cpus: self.subject.most_cpus(demand),
            alone: self.subject.alone(),
            round_trip_ms,
            hold_ms: self.subject.hold_ms(),
            often,
        };
        let outcome = match Knob::choose(demand, &pilot, proxy, hold) {
            Ok(knob) => {
                let pairs = turn_by_turn(&knob, &mut slices, &*self.subject, side).await;
                // As it was, whatever came of it.
                let restored = knob.turn(false, &*self.subject, side).await;
                match (pairs, restored) {
                    (Err(error), _) => Err(error),
                    (_, Err(reason)) | (Ok(Err(reason)), _) => Ok(Err(reason)),
                    (Ok(Ok(pairs)), Ok(())) => Ok(Ok((knob, pairs))),
                }
            }
            Err(reason) => Ok(Err(reason)),
        };
        let cpu_ms = slices.cpu_ms_per_op();
        let trips = outcome.as_ref().ok().and_then(|o| o.as_ref().ok()?.0.round_trips());
        let often = count(side, &session, trips).await.since(warm);
        session.settle(settle_grace(cancel)).await?;
        session.close().await;
        self.subject.closed();
        let (knob, pairs) = match outcome? {
            Ok(made) => made,
            Err(reason) => return Ok(not_made(demand, reason)),
        };
        let flush_ms = side.flush_ms_since(flushes_before).await;
        let Some((demand_ms, added_ms)) = knob.demand(cpu_ms, flush_ms, &pilot, often) else {
            return Ok(not_made(demand, knob.unknown().to_owned()));
        };
        let reading = ProbeReading { users: pilot.users, pairs: &pairs, demand_ms, added_ms };
        let figures = probe_figures(&reading);
        let reason = figures.is_none().then(|| "a slice passed without an operation".to_owned());
        Ok(Probe { demand, means: knob.means(often), figures, reason, finding: None })
    }
}

/// Whether a process of the load's own did not start.
fn does_not_start(error: &LabError) -> bool {
    matches!(error, LabError::Stack(error) if !error.is_cancelled())
}

/// Slices in the order ABBA, so that drift favours neither. The inner error is the reason for which
/// the knob does not turn.
async fn turn_by_turn<S: Subject>(
    knob: &Knob,
    slices: &mut Slices<'_>,
    subject: &S,
    side: &mut ServerSide,
) -> Result<Result<Vec<[f64; 2]>, String>, LabError> {
    let mut pairs = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let mut rates = [0.0; 2];
        for slowed in if pair % 2 == 0 { [false, true] } else { [true, false] } {
            if let Err(reason) = knob.turn(slowed, subject, side).await {
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

/// Somebody to stand in the way to this server.
pub(crate) fn proxy_to(dsn: &Dsn) -> Result<Proxy, LabError> {
    let upstream = if dsn.is_unix() {
        Upstream::Unix(format!("{}/.s.PGSQL.{}", dsn.host, dsn.port).into())
    } else {
        Upstream::Tcp(dsn.host.clone(), dsn.port)
    };
    proxy_at(upstream)
}

/// Somebody to stand in the way to this place.
pub(crate) fn proxy_at(upstream: Upstream) -> Result<Proxy, LabError> {
    Proxy::start(upstream, Shape::default())
        .map_err(|error| LabError::Unsuitable(format!("no proxy: {error}")))
}

/// The same place behind the proxy.
pub(crate) fn through(dsn: &Dsn, proxy: &Proxy) -> Dsn {
    Dsn { host: proxy.address().ip().to_string(), port: proxy.port(), ..dsn.clone() }
}
