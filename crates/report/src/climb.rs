use pinchpoint_measure::{
    Direction, Pace, Quantity, RunResult, Summary, Unit, Variant, VariantStatus, significant,
};
use serde_json::Value;

use crate::share;
use crate::text::clean;

/// A rung of the climb, ready to be shown.
#[derive(Debug, Clone)]
pub(crate) struct Rung<'a> {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) variant: &'a Variant,
    /// Absent when no trial counts.
    pub(crate) figures: Option<Figures>,
    /// Writes nothing: the ceiling of the others.
    pub(crate) is_null: bool,
}

/// A rung's figures as text.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) tps: f64,
    pub(crate) tps_text: String,
    pub(crate) interval: String,
    /// × the rung before.
    pub(crate) ratio: Option<f64>,
    pub(crate) p50: String,
    pub(crate) p95: String,
    pub(crate) p99: String,
    pub(crate) per_row: String,
    pub(crate) where_time_went: String,
    pub(crate) cpu_per_row: String,
    pub(crate) errors: String,
}

/// The rungs in their order.
pub(crate) fn rungs(result: &RunResult) -> Vec<Rung<'_>> {
    let mut before: Option<f64> = None;
    result
        .variants
        .iter()
        .map(|variant| {
            let is_null = variant.factors.get("write") == Some(&Value::Bool(false));
            let figures = variant.summary.as_ref().map(|summary| {
                let ratio = before.filter(|b| *b > 0.0 && !is_null);
                figures(summary, ratio.map(|b| summary.throughput_per_s.median / b))
            });
            if !is_null {
                // A rung without figures leaves the next one nothing to be compared with.
                before = figures.as_ref().map(|f| f.tps).filter(|tps| tps.is_finite());
            }
            Rung {
                name: clean(&variant.name),
                title: clean(&variant.title),
                variant,
                figures,
                is_null,
            }
        })
        .collect()
}

fn figures(summary: &Summary, ratio: Option<f64>) -> Figures {
    let rate = &summary.throughput_per_s;
    let tps = Quantity::new(rate.median, Unit::PerSecond, Direction::Up).with_ci95(rate.ci95);
    let statement = &summary.statement_latency_ms;
    Figures {
        tps: rate.median,
        tps_text: tps.to_string(),
        interval: tps.interval(),
        ratio,
        p50: significant(statement.p50, 3),
        p95: significant(statement.p95, 3),
        p99: significant(statement.p99, 3),
        per_row: significant(summary.per_row_latency_ms, 3),
        where_time_went: share::summary(&summary.phases_ms),
        cpu_per_row: significant(summary.client_cpu_us_per_row, 3),
        errors: Quantity::new(summary.failed as f64, Unit::Count, Direction::Down).to_string(),
    }
}

impl Rung<'_> {
    /// Rows per second, when they are a number that can be compared.
    pub(crate) fn tps(&self) -> Option<f64> {
        self.figures.as_ref().map(|f| f.tps).filter(|tps| tps.is_finite() && *tps > 0.0)
    }

    /// Whether it shows what generator and wire can do at best: not when a schedule holds it back.
    pub(crate) fn is_ceiling(&self) -> bool {
        self.is_null && self.target().is_none()
    }

    /// Whether its commits wait for the disk.
    pub(crate) fn is_durable(&self) -> bool {
        let commit = self.variant.factors.get("synchronous_commit").and_then(Value::as_str);
        !self.is_null && commit != Some("off")
    }

    /// What is wrong with the rung, with the reason: `skipped: …`, `failed: …`. A rung may have
    /// failed and have figures: those of the trials that count.
    pub(crate) fn trouble(&self) -> Option<String> {
        let what = match self.variant.status {
            VariantStatus::Skipped => "skipped",
            VariantStatus::Failed => "failed",
            VariantStatus::Pending => "not run",
            VariantStatus::Ok if self.figures.is_none() => "no figures",
            VariantStatus::Ok => return None,
        };
        Some(match &self.variant.reason {
            Some(reason) => format!("{what}: {}", clean(reason)),
            None => what.to_owned(),
        })
    }

    /// `× 3.4` against the rung before, `ceiling` for the null rung flat out.
    pub(crate) fn ratio(&self) -> String {
        match self.figures.as_ref().and_then(|f| f.ratio) {
            _ if self.is_ceiling() => "ceiling".to_owned(),
            Some(ratio) => format!("× {}", significant(ratio, 3)),
            None => "–".to_owned(),
        }
    }

    /// Rows per second that a schedule asked for, in open load.
    pub(crate) fn target(&self) -> Option<f64> {
        self.variant.trials.iter().find_map(|trial| match trial.pace {
            Pace::Open { target_per_s, .. } => Some(target_per_s),
            Pace::Closed => None,
        })
    }

    /// Largest backlog at any interval's end, and at the end of a trial.
    pub(crate) fn backlog(&self) -> (u64, u64) {
        let trials = &self.variant.trials;
        let most = |pick: fn(&pinchpoint_measure::Trial) -> u64| trials.iter().map(pick).max();
        (most(|t| t.backlog_max).unwrap_or(0), most(|t| t.backlog_end).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_rung_is_compared_with_the_one_before_it_only() {
        let result = fixture::interrupted();
        let ratios: Vec<_> = rungs(&result).iter().map(Rung::ratio).collect();
        assert_eq!(ratios[..5], ["ceiling", "–", "× 24.7", "× 5.33", "–"]);
        let mut result = fixture::ladder();
        result.variants[2].summary = None;
        let ratios: Vec<_> = rungs(&result).iter().map(Rung::ratio).collect();
        assert_eq!(ratios[2..5], ["–", "–", "× 6.19"], "a gap is not jumped over");
    }
}
