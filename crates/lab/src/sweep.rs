use std::time::Duration;

use pinchpoint_load::{Histograms, WarmUpPolicy, warm_up};
use pinchpoint_measure::SweepPoint;
use pinchpoint_plan::Experiment;
use pinchpoint_stack::Cancel;

use crate::error::LabError;
use crate::resolve::Settled;
use crate::rung_load::{concerns_rung, open, settle_grace};
use crate::server::Server;

/// Before a size is measured.
const WARM_UP: Duration = Duration::from_millis(200);
/// A size must beat a smaller one by this factor: less latency is worth a little throughput.
const WORTH: f64 = 1.03;

/// A sweep's points are short: they only rank sizes that differ by far.
pub(crate) fn length(experiment: &Experiment) -> Duration {
    (experiment.load.duration / 8).clamp(Duration::from_millis(300), Duration::from_secs(1))
}

/// Measures one batch size. `None` when the size does not work at all.
pub(crate) async fn measure(
    server: &mut Server,
    experiment: &Experiment,
    rung: &Settled,
    seed: u64,
    length: Duration,
    cancel: &Cancel,
) -> Result<Option<SweepPoint>, LabError> {
    server.reset_table(&experiment.table).await?;
    let mut session = match open(server, experiment, rung, seed, None, cancel).await {
        Ok(session) => session,
        Err(error) if concerns_rung(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    session.start();
    warm_up(&session, WarmUpPolicy::Fixed(WARM_UP), |_| !cancel.is_cancelled()).await;
    session.rotate(&mut Histograms::new()).await?;
    tokio::select! {
        () = tokio::time::sleep(length) => (),
        () = crate::rung_load::cancelled(cancel) => return Err(LabError::Interrupted),
    }
    let mut histograms = Histograms::new();
    let harvest = session.rotate(&mut histograms).await?;
    session.settle(settle_grace(cancel)).await?;
    session.close().await;
    if harvest.totals.rows == 0 {
        return Ok(None);
    }
    Ok(Some(SweepPoint {
        batch: rung.batch.into(),
        throughput_per_s: harvest.totals.rows as f64 / harvest.elapsed.as_secs_f64().max(1e-9),
        p95_ms: histograms.statement_ms().p95,
    }))
}

/// The means of the measurements of each size, in the order of the first of them.
pub(crate) fn combine(seen: &[SweepPoint]) -> Vec<SweepPoint> {
    let mut points: Vec<SweepPoint> = Vec::new();
    for point in seen {
        if points.iter().any(|p| p.batch == point.batch) {
            continue;
        }
        let same: Vec<_> = seen.iter().filter(|p| p.batch == point.batch).collect();
        let mean = |pick: fn(&SweepPoint) -> f64| {
            same.iter().map(|p| pick(p)).sum::<f64>() / same.len() as f64
        };
        points.push(SweepPoint {
            batch: point.batch,
            throughput_per_s: mean(|p| p.throughput_per_s),
            p95_ms: mean(|p| p.p95_ms),
        });
    }
    points
}

/// The size to use: the fastest, or the smallest that is as good within noise.
pub(crate) fn choose(points: &[SweepPoint]) -> Option<u64> {
    let best = points.iter().map(|p| p.throughput_per_s).fold(0.0, f64::max);
    points
        .iter()
        .filter(|p| p.throughput_per_s > 0.0 && p.throughput_per_s * WORTH >= best)
        .map(|p| p.batch)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(batch: u64, throughput_per_s: f64) -> SweepPoint {
        SweepPoint { batch, throughput_per_s, p95_ms: 1.0 }
    }

    #[test]
    fn measurements_of_a_size_are_averaged() {
        let seen = [point(100, 40.0), point(1000, 90.0), point(1000, 110.0), point(100, 60.0)];
        assert_eq!(combine(&seen), [point(100, 50.0), point(1000, 100.0)]);
    }

    #[test]
    fn a_larger_batch_must_be_worth_its_latency() {
        let points = [point(100, 50_000.0), point(1000, 98_000.0), point(5000, 100_000.0)];
        assert_eq!(choose(&points), Some(1000));
        assert_eq!(choose(&[point(100, 50.0), point(1000, 90.0)]), Some(1000));
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[point(100, 0.0)]), None);
    }
}
