use std::time::Duration;

use pinchpoint_diagnose::{Sounding, SoundingPlan};
use pinchpoint_load::{Histograms, WarmUpPolicy, warm_up};
use pinchpoint_observe::CpuSampler;
use pinchpoint_plan::{Connection, Experiment};
use pinchpoint_stack::Cancel;

use crate::error::LabError;
use crate::resolve::Settled;
use crate::rung_load::{cancelled, concerns_rung, open, settle_grace};
use crate::server::Server;

/// Before the look.
const WARM_UP: Duration = Duration::from_millis(150);

/// A look is short: it costs the run little, and shows what a statement takes.
fn length(experiment: &Experiment) -> Duration {
    (experiment.load.duration / 8).clamp(Duration::from_millis(100), Duration::from_millis(400))
}

/// Seconds that the soundings before one step take.
pub(crate) fn expected_s(experiment: &Experiment) -> f64 {
    2.0 * (length(experiment) + WARM_UP).as_secs_f64() + 0.3
}

/// Tries the statement of the step to come, as planned. Nothing where it does not work at all.
pub(crate) async fn sound(
    server: &mut Server,
    experiment: &Experiment,
    step: &Settled,
    plans: &[SoundingPlan],
    seed: u64,
    cancel: &Cancel,
) -> Result<Vec<Sounding>, LabError> {
    let mut soundings = Vec::with_capacity(plans.len());
    for plan in plans {
        match one(server, experiment, step, *plan, seed, cancel).await {
            Ok(Some(sounding)) => soundings.push(sounding),
            Ok(None) => return Ok(Vec::new()),
            Err(error) if concerns_rung(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(soundings)
}

async fn one(
    server: &mut Server,
    experiment: &Experiment,
    step: &Settled,
    plan: SoundingPlan,
    seed: u64,
    cancel: &Cancel,
) -> Result<Option<Sounding>, LabError> {
    let timeout = match step.connection {
        Connection::Pool { timeout, .. } => timeout,
        // Nothing is to be learned of connections that are not kept.
        Connection::PerOperation => return Ok(None),
    };
    let smaller = Settled {
        connection: Connection::Pool { min: plan.users, max: plan.users, timeout },
        concurrency: plan.users,
        batch: plan.rows,
        crash: false,
        ..step.clone()
    };
    server.reset_table(&experiment.table).await?;
    let mut session = open(server, experiment, &smaller, seed, None, cancel).await?;
    session.start();
    warm_up(&session, WarmUpPolicy::Fixed(WARM_UP), |_| !cancel.is_cancelled()).await;
    session.rotate(&mut Histograms::new()).await?;
    let mut cpu = CpuSampler::new();
    cpu.sample();
    tokio::select! {
        () = tokio::time::sleep(length(experiment)) => (),
        () = cancelled(cancel) => return Err(LabError::Interrupted),
    }
    let harvest = session.rotate(&mut Histograms::new()).await?;
    let busy = cpu.sample().map(|cpu| cpu.busy_percent / 100.0);
    let rows_written = session.totals().rows as f64;
    session.settle(settle_grace(cancel)).await?;
    session.close().await;
    let operations = harvest.totals.operations as f64;
    Ok((operations > 0.0).then(|| Sounding {
        plan,
        statements_per_s: operations / harvest.elapsed.as_secs_f64().max(1e-9),
        busy,
        rows_written,
    }))
}
