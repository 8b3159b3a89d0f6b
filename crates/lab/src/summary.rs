use std::collections::BTreeMap;

use pinchpoint_measure::{
    Latency, PHASES, Spread, Summary, Trial, TrialStatus, Variant, VariantStatus,
};
use pinchpoint_stats::{median, median_ci};

/// Brings a variant's summary and status up to date with its trials.
pub(crate) fn update(variant: &mut Variant) {
    variant.summary = summarize(&variant.trials);
    if variant.status == VariantStatus::Skipped {
        return;
    }
    let failed = variant.trials.iter().find(|t| t.status == TrialStatus::Failed);
    variant.status = match (&variant.summary, failed) {
        (_, Some(_)) => VariantStatus::Failed,
        (Some(_), None) => VariantStatus::Ok,
        (None, None) => VariantStatus::Pending,
    };
    variant.reason = failed.and_then(|t| t.reason.clone());
}

/// Medians over the trials that count.
fn summarize(trials: &[Trial]) -> Option<Summary> {
    let good: Vec<&Trial> = trials.iter().filter(|t| t.status == TrialStatus::Ok).collect();
    let rates: Vec<f64> = good.iter().map(|t| t.throughput_per_s).collect();
    let spread = median_ci(&rates)?;
    let throughput = match (spread.ci95, good.as_slice()) {
        (None, [only]) => Spread {
            median: spread.median,
            ci95: only.throughput_ci95,
            ci_method: "batch means within one trial".to_owned(),
        },
        (ci95, _) => Spread {
            median: spread.median,
            ci95: ci95.map(|i| [i.lo, i.hi]),
            ci_method: spread.method,
        },
    };
    let good = Good(good);
    let middle = |pick: &dyn Fn(&Trial) -> f64| good.middle(pick);
    let phases_ms: BTreeMap<_, _> = PHASES
        .into_iter()
        .map(|p| (p, middle(&|t: &Trial| t.phases_ms.get(&p).copied().unwrap_or(0.0))))
        .filter(|(_, ms)| *ms > 0.0)
        .collect();
    Some(Summary {
        throughput_per_s: throughput,
        latency_ms: good.latency(|t| &t.latency_ms),
        statement_latency_ms: good.latency(|t| &t.statement_latency_ms),
        per_row_latency_ms: middle(&|t| t.per_row_latency_ms.avg),
        phases_ms,
        client_cpu_us_per_op: middle(&|t| t.client_cpu_us_per_op),
        client_cpu_us_per_row: middle(&|t| t.client_cpu_us_per_row),
        failed: trials.iter().map(|t| t.failed).sum(),
    })
}

/// The trials that count.
struct Good<'a>(Vec<&'a Trial>);

impl Good<'_> {
    fn middle(&self, pick: &dyn Fn(&Trial) -> f64) -> f64 {
        median(&self.0.iter().map(|t| pick(t)).collect::<Vec<_>>()).unwrap_or(0.0)
    }

    fn latency(&self, pick: fn(&Trial) -> &Latency) -> Latency {
        Latency {
            avg: self.middle(&|t| pick(t).avg),
            p50: self.middle(&|t| pick(t).p50),
            p90: self.middle(&|t| pick(t).p90),
            p95: self.middle(&|t| pick(t).p95),
            p99: self.middle(&|t| pick(t).p99),
            max: self.middle(&|t| pick(t).max),
        }
    }
}
