use std::sync::Arc;
use std::time::{Duration, Instant};

use pinchpoint_load::{LoadError, LoadSpec, Process, Ramp, Schedule, Session, WarmUpPolicy};
use pinchpoint_plan::{Connection, Experiment, LoadPlan, Pace, WarmUp};
use pinchpoint_sql::{ConnectionSpec, Dsn, Hold, WriteDriver, WriteSpec};
use pinchpoint_stack::Cancel;

use crate::error::LabError;
use crate::resolve::Settled;
use crate::server::Server;

/// How a load is opened otherwise than plainly.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// Another way to the server.
    pub(crate) dsn: Option<Dsn>,
    /// A pause before connections go back to the pool.
    pub(crate) hold: Option<Hold>,
}

/// Opens the load of a rung on a server: connections made, nothing running yet.
pub(crate) async fn open(
    server: &Server,
    experiment: &Experiment,
    rung: &Settled,
    seed: u64,
    schedule: Option<Schedule>,
    cancel: &Cancel,
) -> Result<Session, LabError> {
    open_with(server, experiment, rung, seed, schedule, cancel, Opening::default()).await
}

/// The same, otherwise than plainly.
pub(crate) async fn open_with(
    server: &Server,
    experiment: &Experiment,
    rung: &Settled,
    seed: u64,
    schedule: Option<Schedule>,
    cancel: &Cancel,
    opening: Opening,
) -> Result<Session, LabError> {
    let spec = WriteSpec {
        dsn: opening.dsn.unwrap_or_else(|| server.dsn().clone()),
        schema: Some(server.schema().to_owned()),
        table: experiment.table.clone(),
        method: rung.method,
        batch: rung.batch,
        synchronous_commit: Some(rung.synchronous_commit),
        write: rung.write,
        connection: match rung.connection {
            Connection::PerOperation => ConnectionSpec::PerOperation,
            Connection::Pool { min, max, timeout } => ConnectionSpec::Pool { min, max, timeout },
        },
    };
    let driver = WriteDriver::new(spec)
        .map_err(|e| LabError::Unsuitable(e.to_string()))?
        .holding(opening.hold.unwrap_or_default());
    let load = LoadSpec {
        users: rung.concurrency as usize,
        threads: threads(experiment, rung),
        schedule,
        seed,
        spawn_per_s: None,
        think: Duration::ZERO,
        labels: 1,
        operations_per_user: None,
        latency_limit: None,
        keep_acks: rung.crash,
    };
    tokio::select! {
        session = Session::open(Arc::new(driver), &load) => Ok(session.map_err(LabError::from)?),
        () = cancelled(cancel) => Err(LabError::Interrupted),
    }
}

/// Load threads of a rung: one a core, but none without a user or a connection.
pub(crate) fn threads(experiment: &Experiment, rung: &Settled) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = experiment.load.threads.map_or(cores, |n| n as usize);
    let connections = match rung.connection {
        Connection::PerOperation => usize::MAX,
        Connection::Pool { max, .. } => max as usize,
    };
    wanted.min(rung.concurrency as usize).min(connections).max(1)
}

/// The schedule of a rung in operations per second; none when it runs flat out.
pub(crate) fn schedule(experiment: &Experiment, batch: u32, seed: u64) -> Option<Schedule> {
    schedule_of(&experiment.load, batch, seed)
}

/// The schedule of a load whose operations are of so many rows.
pub(crate) fn schedule_of(load: &LoadPlan, batch: u32, seed: u64) -> Option<Schedule> {
    let process = if load.poisson { Process::Poisson { seed } } else { Process::Constant };
    let rows = f64::from(batch.max(1));
    match &load.pace {
        Pace::FlatOut => None,
        Pace::Rate { per_s } => Some(Schedule::at_rate(per_s / rows, process)),
        Pace::Stages(stages) => {
            let ramps: Vec<Ramp> = stages
                .iter()
                .map(|s| Ramp { duration: s.duration, target_per_s: s.target_per_s / rows })
                .collect();
            Some(Schedule::stages(0.0, &ramps, process))
        }
    }
}

/// The warm-up of a load by so many users over HTTP.
pub(crate) fn warm_up_of(load: &LoadPlan, users: u32) -> WarmUpPolicy {
    match (&load.pace, load.warmup) {
        // Stages are a story with a beginning; a warm-up would tell it ahead of time.
        (Pace::Stages(_), _) => WarmUpPolicy::Fixed(Duration::ZERO),
        (pace, WarmUp::Auto { at_most }) => {
            // A schedule may never need them all.
            let users = if *pace == Pace::FlatOut { users.into() } else { 0 };
            WarmUpPolicy::Auto { at_most, users }
        }
        (_, WarmUp::Fixed(length)) => WarmUpPolicy::Fixed(length),
    }
}

/// Resolves when the user has asked to stop.
pub(crate) async fn cancelled(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for the load to come to rest. How long is bounded; after a cancellation, tightly.
pub(crate) fn settle_grace(cancel: &Cancel) -> Duration {
    if cancel.is_cancelled() { Duration::from_millis(300) } else { Duration::from_secs(10) }
}

/// Whether the load could not be opened for a reason that concerns this rung only.
pub(crate) fn concerns_rung(error: &LabError) -> bool {
    matches!(error, LabError::Load(LoadError::Open(_)))
}

/// Seconds between two instants, for the age of a row.
pub(crate) fn age_ms(at: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(at).as_secs_f64() * 1000.0
}
