//! The next lever of a load of scripts: what could be tried, and what became of what was.

use pinchpoint_measure::{
    Pace, RunResult, SqlLever, SqlProtocol, Variant, factor_text, factor_u64, significant,
};

use crate::predictions;
use crate::table::Paint;
use crate::text::clean;

/// More clients than anybody's machine has sockets for.
const MOST: u64 = 20_000;

/// What could be tried next, by the verdict on the load as it is; `None` where no lever fits.
pub(crate) fn suggestion(variant: &Variant) -> Option<SqlLever> {
    let verdict = variant.verdict.as_ref()?;
    // A schedule sets the throughput: no lever's effect on it could be told.
    if variant.trials.iter().any(|trial| trial.pace != Pace::Closed) {
        return None;
    }
    let factors = &variant.factors;
    let twice = |name: &str| {
        let doubled = factor_u64(factors, name)?.checked_mul(2).filter(|n| *n <= MOST)?;
        u32::try_from(doubled).ok()
    };
    let clients = factor_u64(factors, "concurrency")?;
    let held_back = factor_u64(factors, "pool").is_some_and(|size| size < clients);
    match verdict.bottleneck.as_str() {
        "wal-flush" if factor_text(factors, "synchronous_commit") != "off" => {
            Some(SqlLever::SynchronousCommit(false))
        }
        // Parsing and planning are of the CPU that is used up.
        "planning" | "server-cpu" | "machine-cpu" | "cpu-throttling"
            if factor_text(factors, "mode") != "prepared" =>
        {
            Some(SqlLever::Protocol(SqlProtocol::Prepared))
        }
        "connection-setup" if factor_text(factors, "connection") == "per-operation" => {
            Some(SqlLever::Connected)
        }
        "pool-wait" => twice("pool").map(SqlLever::Pool),
        "users" | "serial-round-trips" if held_back => twice("pool").map(SqlLever::Pool),
        "users" | "serial-round-trips" => twice("concurrency").map(SqlLever::Clients),
        _ => None,
    }
}

/// What was expected of a variant that has a lever applied, and what came: a line each.
pub(crate) fn lines(result: &RunResult, variant: &Variant) -> Vec<(String, Paint)> {
    let mut lines = Vec::new();
    let before = variant.prediction.as_ref().map_or("sql", |p| p.from.as_str());
    let before = result.variant(before).and_then(|v| v.summary.as_ref());
    let before = before.map(|s| s.throughput_per_s.median).filter(|x| x.is_finite() && *x > 0.0);
    if let Some(reason) = &variant.unpredicted {
        lines.push((format!("predicted: nothing, as {}", clean(reason)), Paint::Plain));
    }
    if let Some(prediction) = &variant.prediction {
        let [lo, hi] = prediction.range_per_s;
        let mut text = format!("predicted: {} to {}/s", significant(lo, 3), significant(hi, 3));
        if let Some(before) = before {
            let times = [lo, hi].map(|end| significant(end / before, 2));
            text.push_str(&format!(", {} to {} times", times[0], times[1]));
        }
        if let Some(limit) = &prediction.limit {
            text.push_str(&format!(", then {} limits", clean(limit)));
        }
        lines.push((text, Paint::Plain));
    }
    if let Some(summary) = &variant.summary {
        let rate = &summary.throughput_per_s;
        let mut text = format!("measured: {}/s", significant(rate.median, 3));
        if let Some([lo, hi]) = rate.ci95 {
            text.push_str(&format!(" [{}, {}]", significant(lo, 3), significant(hi, 3)));
        }
        if let Some(before) = before {
            text.push_str(&format!(", {} times", significant(rate.median / before, 2)));
        }
        text.push_str(&format!("; p95 {} ms", significant(summary.latency_ms.p95, 3)));
        lines.push((text, Paint::Plain));
    }
    if let Some(prediction) = variant.prediction.as_ref().filter(|p| p.measured_per_s.is_some()) {
        let paint = match prediction.held {
            Some(true) => Paint::Green,
            Some(false) => Paint::Red,
            None => Paint::Dim,
        };
        let outcome = predictions::outcome(prediction);
        lines.push((format!("the prediction: {outcome}"), paint));
    }
    lines
}
