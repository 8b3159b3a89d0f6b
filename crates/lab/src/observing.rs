//! Joins what was observed around a load with what the load itself has measured.

use std::time::Duration;

use pinchpoint_load::{Histograms, SlowOperation};
use pinchpoint_measure::{Observation, PHASES, Phase, SlowFigures};
use pinchpoint_observe::{Looks, Observed, Served};

use crate::measuring::Measured;

/// What an observation calls the sessions of single operations, where they are not known.
const SLOW_OPERATIONS: &str = "slow operations";
/// Slow operations are those from this quantile on.
const SLOW: f64 = 0.99;

/// The observation of a load: for each operation where that makes sense, and with what the slow
/// ones waited for.
pub(crate) fn complete(observed: Observed, measured: &Measured) -> Observation {
    let Observed { mut observation, looks } = observed;
    let operations = measured.totals.operations;
    if operations > 0 {
        for process in &mut observation.processes {
            process.cpu_us_per_op = process.cpu_s.map(|cpu| cpu * 1e6 / operations as f64);
        }
        for statement in &mut observation.statements {
            statement.calls_per_op = Some(statement.calls / operations as f64);
        }
    }
    // Behind a pooler a connection's process is made up, and no session is that operation's.
    let known = observation.missing.iter().all(|gap| gap.signal != SLOW_OPERATIONS);
    let looks = if known { looks } else { Looks::default() };
    observation.slow = slow(&measured.histograms, &looks);
    observation
}

fn slow(histograms: &Histograms, looks: &Looks) -> Option<SlowFigures> {
    let (slowest, more) = histograms.slowest();
    let kept: Vec<&SlowOperation> = slowest.collect();
    let fastest = kept.iter().map(|operation| operation.response).min()?;
    let quantile = Duration::from_secs_f64(histograms.response_quantile_ms(SLOW) / 1e3);
    // Where not all from the quantile on were kept, slow is what was kept.
    let from = if more { fastest.max(quantile) } else { quantile };
    // A histogram's quantile is rounded, up to the value of the very operation.
    let slow: Vec<_> = kept.into_iter().filter(|o| o.response.mul_f64(1.001) >= from).collect();
    let count = slow.len().max(1) as f64;
    let mean = |sum: Duration| sum.as_secs_f64() * 1e3 / count;
    let mut figures = SlowFigures {
        from_ms: from.as_secs_f64() * 1e3,
        operations: slow.len() as u64,
        mean_ms: mean(slow.iter().map(|operation| operation.response).sum()),
        phases_ms: PHASES
            .into_iter()
            .map(|phase| (phase, mean(slow.iter().map(|o| o.phase(phase)).sum())))
            .filter(|(_, ms)| *ms > 0.0)
            .collect(),
        ..SlowFigures::default()
    };
    let served: Vec<Served> = slow.into_iter().filter_map(served).collect();
    looks.attribute(&served, &mut figures);
    Some(figures)
}

/// The part of an operation in which a session of the server belonged to it; before that, the
/// session may have served somebody else.
fn served(operation: &SlowOperation) -> Option<Served> {
    if operation.tag == 0 {
        return None;
    }
    let until = operation.ended.checked_sub(operation.phase(Phase::Disconnect))?;
    let statement: Duration =
        PHASES.iter().filter(|p| p.is_statement()).map(|p| operation.phase(*p)).sum();
    Some(Served { process: operation.tag, from: until.checked_sub(statement)?, until })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use pinchpoint_load::Probe;

    use super::*;

    fn record(histograms: &mut Histograms, ms: u64, checkout_ms: u64, tag: u32) {
        let mut probe = Probe::new();
        probe.add(Phase::Checkout, Duration::from_millis(checkout_ms));
        probe.add(Phase::Execute, Duration::from_millis(ms - checkout_ms));
        probe.set_tag(tag);
        histograms.record(Duration::from_millis(ms), Instant::now(), &probe);
    }

    #[test]
    fn slow_operations_are_those_from_the_99th_percentile_on() {
        let mut histograms = Histograms::new();
        for ms in 1..=300 {
            record(&mut histograms, ms, 0, 7);
        }
        let figures = slow(&histograms, &Looks::default()).unwrap();
        // 297 to 300.
        assert_eq!(figures.operations, 4);
        assert!((figures.from_ms - 297.0).abs() < 0.5, "{figures:?}");
        assert!((figures.mean_ms - 298.5).abs() < 0.01, "{figures:?}");
        assert!((figures.phases_ms[&Phase::Execute] - 298.5).abs() < 0.01);
        assert_eq!(figures.looks, 0);
        assert!(slow(&Histograms::new(), &Looks::default()).is_none());
    }

    #[test]
    fn of_very_many_the_slowest_that_were_kept_are_slow() {
        let mut histograms = Histograms::new();
        for _ in 0..200_000 {
            record(&mut histograms, 1, 0, 7);
        }
        for _ in 0..4_000 {
            record(&mut histograms, 50, 0, 7);
        }
        let figures = slow(&histograms, &Looks::default()).unwrap();
        assert!((figures.from_ms - 50.0).abs() < 0.1 && figures.operations > 100, "{figures:?}");
    }

    #[test]
    fn a_session_belongs_to_an_operation_from_its_checkout_on() {
        let mut histograms = Histograms::new();
        record(&mut histograms, 30, 20, 7);
        record(&mut histograms, 30, 20, 0);
        let (slowest, more) = histograms.slowest();
        assert!(!more);
        let served: Vec<_> = slowest.filter_map(served).collect();
        assert_eq!(served.len(), 1, "one did not say who served it");
        assert_eq!(served[0].until - served[0].from, Duration::from_millis(10));
    }
}
