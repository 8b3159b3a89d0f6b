use pinchpoint_measure::{
    Direction, Quantity, RunResult, Summary, Unit, Variant, VariantStatus, significant,
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
            if let (Some(figures), false) = (&figures, is_null) {
                before = Some(figures.tps);
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
    /// Why there are no figures: `skipped: …`, `failed: …`.
    pub(crate) fn absence(&self) -> String {
        let what = match self.variant.status {
            VariantStatus::Skipped => "skipped",
            VariantStatus::Failed => "failed",
            VariantStatus::Pending => "not run",
            VariantStatus::Ok => "no figures",
        };
        match &self.variant.reason {
            Some(reason) => format!("{what}: {}", clean(reason)),
            None => what.to_owned(),
        }
    }

    /// `× 3.4` against the rung before, `ceiling` for the null rung.
    pub(crate) fn ratio(&self) -> String {
        match self.figures.as_ref().and_then(|f| f.ratio) {
            _ if self.is_null => "ceiling".to_owned(),
            Some(ratio) => format!("× {}", significant(ratio, 3)),
            None => "–".to_owned(),
        }
    }
}

/// What the climb as a whole says, one sentence each.
pub(crate) fn conclusions(result: &RunResult, rungs: &[Rung<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    let real: Vec<_> = rungs.iter().filter(|r| !r.is_null && r.figures.is_some()).collect();
    let tps = |rung: &Rung<'_>| rung.figures.as_ref().map_or(0.0, |f| f.tps);
    let durable = |rung: &&&Rung<'_>| {
        rung.variant.factors.get("synchronous_commit").and_then(Value::as_str) != Some("off")
    };
    let best = real.iter().filter(durable).max_by(|a, b| tps(a).total_cmp(&tps(b)));
    if let (Some(first), Some(best)) = (real.first(), best)
        && first.name != best.name
        && tps(first) > 0.0
    {
        lines.push(format!(
            "Best durable rung: {} with {} rows/s, {} times rung {}.",
            best.name,
            significant(tps(best), 3),
            significant(tps(best) / tps(first), 3),
            first.name
        ));
    }
    if let (Some(null), Some(best)) = (rungs.iter().find(|r| r.is_null), best)
        && tps(null) > 0.0
    {
        lines.push(format!(
            "The ceiling that generator and wire set: {} rows/s; the best durable rung reached {} of it.",
            significant(tps(null), 3),
            Quantity::new(tps(best) / tps(null), Unit::Ratio, Direction::Up)
        ));
    }
    lines.extend(rungs.iter().filter_map(per_operation));
    lines.extend(rungs.iter().filter_map(crash));
    lines.extend(rungs.iter().flat_map(|r| troubles(r)));
    lines.extend(result.warnings.iter().map(|w| format!("Warning: {}", clean(w))));
    lines
}

/// The response time with the connection's set-up and without it, and which of them pgbench prints.
fn per_operation(rung: &Rung<'_>) -> Option<String> {
    let summary = rung.variant.summary.as_ref()?;
    let fresh = rung.variant.factors.get("connection")?.as_str()? == "per-operation";
    fresh.then(|| {
        format!(
            "Rung {}: {} ms on average with the connection's set-up, {} ms without it. `pgbench -C` \
             prints the one without as its latency average, and the connection's time apart.",
            rung.name,
            significant(summary.latency_ms.avg, 3),
            significant(summary.statement_latency_ms.avg, 3)
        )
    })
}

/// What the crashes after a rung's trials cost.
fn crash(rung: &Rung<'_>) -> Option<String> {
    let crashes: Vec<_> = rung.variant.trials.iter().filter_map(|t| t.crash.as_ref()).collect();
    let worst = crashes.iter().max_by_key(|c| c.lost_rows)?;
    let n = crashes.len();
    if worst.lost_rows == 0 {
        return Some(format!(
            "Rung {}: {n} crash{} lost no acknowledged row.",
            rung.name,
            if n == 1 { "" } else { "es" }
        ));
    }
    let age = crashes.iter().filter_map(|c| c.oldest_lost_ms).fold(0.0, f64::max);
    let least = if crashes.iter().any(|c| c.oldest_lost_is_lower_bound) { "at least " } else { "" };
    let lost = Quantity::new(worst.lost_rows as f64, Unit::Count, Direction::Down);
    Some(format!(
        "Rung {}: a crash right after a trial lost up to {lost} acknowledged rows, the oldest \
         {least}{} ms old ({n} crash{}).",
        rung.name,
        significant(age, 3),
        if n == 1 { "" } else { "es" }
    ))
}

/// Trials that failed, gates that did not hold, warm-ups that never settled.
fn troubles(rung: &Rung<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for trial in &rung.variant.trials {
        let head = format!("Rung {}, trial {}", rung.name, trial.number);
        if let Some(reason) = &trial.reason {
            lines.push(format!("{head}: {}.", clean(reason).trim_end_matches('.')));
        }
        for gate in trial.gates.iter().filter(|g| !g.passed) {
            lines.push(format!(
                "{head}: gate {} did not hold: {}.",
                clean(&gate.name),
                clean(&gate.detail)
            ));
        }
        if let (false, Some(note)) = (trial.warm_up.settled, &trial.warm_up.note) {
            lines.push(format!("{head}: {}.", clean(note)));
        }
    }
    lines
}

/// `limited by connection set-up (84 %); expected 1,900–2,600, measured 2,100: held`.
pub(crate) fn verdict_line(rung: &Rung<'_>) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(verdict) = &rung.variant.verdict {
        parts.push(format!(
            "limited by {} ({:.0} %, confidence {:.1})",
            clean(&verdict.bottleneck),
            verdict.share * 100.0,
            verdict.confidence
        ));
    }
    if let Some(prediction) = &rung.variant.prediction {
        let [lo, hi] = prediction.range_per_s;
        let outcome = match (prediction.measured_per_s, prediction.held) {
            (Some(measured), Some(held)) => format!(
                ", measured {}: {}",
                significant(measured, 3),
                if held { "held" } else { "missed" }
            ),
            _ => String::new(),
        };
        parts.push(format!("expected {}–{}{outcome}", significant(lo, 3), significant(hi, 3)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
