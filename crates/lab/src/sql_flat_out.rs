//! A load of scripts beside the trials, as fast as it goes: for a probe, or to try a lever.

use std::sync::Arc;
use std::time::Duration;

use pinchpoint_load::LoadSpec;
use pinchpoint_script::Program;
use pinchpoint_sql::{Dsn, ScriptDriver, ScriptSpec};

use crate::error::LabError;
use crate::sql_job::SqlJob;
use crate::sql_run::threads;
use crate::sql_trial::connection_of;

/// Its driver and its users: those of `job`, without a schedule, log or end of their own.
pub(crate) fn flat_out(
    job: &SqlJob,
    program: &Arc<Program>,
    dsn: Dsn,
    seed: u64,
) -> Result<(ScriptDriver, LoadSpec), LabError> {
    let driver = ScriptDriver::new(ScriptSpec {
        dsn,
        program: program.clone(),
        connection: connection_of(job.connection),
        max_tries: job.work.max_tries,
        seed,
        log: None,
    });
    let load = LoadSpec {
        users: job.clients as usize,
        threads: threads(job),
        schedule: None,
        seed,
        spawn_per_s: None,
        think: Duration::ZERO,
        labels: program.scripts.len(),
        operations_per_user: None,
        latency_limit: None,
        keep_acks: false,
    };
    Ok((driver.map_err(|e| LabError::Unsuitable(e.to_string()))?, load))
}
