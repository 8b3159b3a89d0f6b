//! What the climb as a whole says, one sentence each.

use std::collections::BTreeMap;

use pinchpoint_measure::{
    Direction, Quantity, RunResult, Trial, TrialStatus, Unit, VariantStatus, group_thousands,
    significant,
};
use serde_json::Value;

use crate::climb::Rung;
use crate::explain::verdict_line;
use crate::predictions;
use crate::text::{clean, count};

/// The sentences below the table.
pub(crate) fn conclusions(result: &RunResult, rungs: &[Rung<'_>]) -> Vec<String> {
    let mut lines = ascent(result, rungs);
    lines.extend(predictions::lines(result));
    lines.extend(rungs.iter().filter_map(behind));
    lines.extend(rungs.iter().filter_map(per_operation));
    lines.extend(rungs.iter().filter_map(crash));
    lines.extend(rungs.iter().flat_map(troubles));
    lines.extend(result.warnings.iter().map(|w| format!("Warning: {}", clean(w))));
    lines
}

/// How far the climb went: against the first rung, and against the ceiling.
fn ascent(result: &RunResult, rungs: &[Rung<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    let kind = if keeps_rows(result) { "durable rung" } else { "rung with commits awaited" };
    let rate = |rung: &Rung<'_>| rung.tps().unwrap_or(0.0);
    let best = rungs
        .iter()
        // A rung that failed has not shown that it keeps what it acknowledges.
        .filter(|r| r.is_durable() && r.tps().is_some())
        .filter(|r| r.variant.status != VariantStatus::Failed)
        // Rungs that a schedule holds back are not ranked by what they reached.
        .filter(|r| r.target().is_none())
        .max_by(|a, b| rate(a).total_cmp(&rate(b)));
    let Some(best) = best else { return lines };
    let first = rungs.iter().find(|r| !r.is_null && r.target().is_none());
    // A climb of one rung has nothing to say of its best.
    if let Some(first) = first.filter(|first| !std::ptr::eq(*first, best)) {
        let times = first
            .tps()
            .map(|tps| format!(", {} times rung {}", significant(rate(best) / tps, 3), first.name));
        lines.push(format!(
            "Best {kind}: {} with {} rows/s{}.",
            best.name,
            significant(rate(best), 3),
            times.unwrap_or_default()
        ));
    }
    if let Some(ceiling) = rungs.iter().filter(|r| r.is_ceiling()).find_map(Rung::tps) {
        lines.push(format!(
            "The ceiling that generator and wire set: {} rows/s; the best {kind} ({}) \
             reached {} of it.",
            significant(ceiling, 3),
            best.name,
            Quantity::new(rate(best) / ceiling, Unit::Ratio, Direction::Up)
        ));
    }
    lines
}

/// Whether the servers keep over a crash what they acknowledge. Where they do not, no rung may be
/// called durable, whatever its `synchronous_commit`.
fn keeps_rows(result: &RunResult) -> bool {
    let off = |settings: &BTreeMap<String, String>| {
        let is_off = |name: &str| settings.get(name).is_some_and(|value| value == "off");
        is_off("fsync") || is_off("full_page_writes")
    };
    !result.environment.software.iter().any(|software| off(&software.settings))
}

/// A rung that did not keep to its schedule.
fn behind(rung: &Rung<'_>) -> Option<String> {
    let (target, tps, (_, backlog)) = (rung.target()?, rung.tps()?, rung.backlog());
    // Less than a hundredth is the last interval's edge.
    (tps < target * 0.99 && backlog > 0).then(|| {
        format!(
            "Rung {} did not keep to {} rows/s: it reached {}, and {} operations were due and not \
             begun at the end.",
            rung.name,
            significant(target, 3),
            significant(tps, 3),
            group_thousands(backlog)
        )
    })
}

/// The response time with the connection's set-up and without it, and which of them pgbench
/// prints: its `printResults` divides the run's time by the transactions unless an option such as
/// `-P` had each one timed, and a transaction's own time begins after `doConnect` (pgbench.c).
fn per_operation(rung: &Rung<'_>) -> Option<String> {
    let summary = rung.variant.summary.as_ref()?;
    let fresh = rung.variant.factors.get("connection")?.as_str()? == "per-operation";
    fresh.then(|| {
        format!(
            "Rung {}: {} ms on average with the connect, {} ms without it (the statement alone). \
             The latency average of pgbench -C is the one with it; under -P and in its -l log \
             it is the one without. It prints the connect apart, as average connection time.",
            rung.name,
            significant(summary.latency_ms.avg, 3),
            significant(summary.statement_latency_ms.avg, 3)
        )
    })
}

/// What the crashes after a rung's trials cost.
fn crash(rung: &Rung<'_>) -> Option<String> {
    let crashes: Vec<_> = rung.variant.trials.iter().filter_map(|t| t.crash.as_ref()).collect();
    let worst = crashes.iter().map(|c| c.lost_rows).max()?;
    let head = if rung.is_durable() {
        format!("Rung {} (commits awaited)", rung.name)
    } else {
        format!("The price of asynchronous commit, rung {}", rung.name)
    };
    let times = count(crashes.len(), "crash right after a trial", "crashes right after a trial");
    if worst == 0 {
        return Some(format!("{head}: {times} lost no acknowledged row."));
    }
    let age = crashes.iter().filter_map(|c| c.oldest_lost_ms).fold(f64::NAN, f64::max);
    let least = if crashes.iter().any(|c| c.oldest_lost_is_lower_bound) { "at least " } else { "" };
    let age = if age.is_finite() {
        format!(", the oldest {least}{} ms old", significant(age, 3))
    } else {
        String::new()
    };
    Some(format!("{head}: {times} lost up to {} acknowledged rows{age}.", group_thousands(worst)))
}

/// Trials that failed, gates that did not hold, warm-ups that never settled.
fn troubles(rung: &Rung<'_>) -> Vec<String> {
    rung.variant.trials.iter().flat_map(|trial| trial_troubles(&rung.name, trial)).collect()
}

fn trial_troubles(rung: &str, trial: &Trial) -> Vec<String> {
    let mut lines = Vec::new();
    let head = format!("Rung {rung}, trial {}", trial.number);
    let status = match trial.status {
        TrialStatus::Ok => "",
        TrialStatus::Failed => " failed",
        TrialStatus::Interrupted => " was interrupted and does not count",
    };
    match &trial.reason {
        Some(reason) => {
            lines.push(format!("{head}{status}: {}.", clean(reason).trim_end_matches('.')));
        }
        None if !status.is_empty() => lines.push(format!("{head}{status}.")),
        None => (),
    }
    for gate in trial.gates.iter().filter(|g| !g.passed) {
        let (name, detail) = (clean(&gate.name), clean(&gate.detail));
        lines.push(format!("{head}: gate {name} did not hold: {detail}."));
    }
    let told = trial.gates.iter().any(|g| g.name == "settled" && !g.passed);
    if let (false, false, Some(note)) = (trial.warm_up.settled, told, &trial.warm_up.note) {
        lines.push(format!("{head}: {}.", clean(note)));
    }
    lines
}

/// What limited a rung: `limited by connection-setup (84 %, confidence 0.8)`.
pub(crate) fn limited_by(rung: &Rung<'_>) -> Option<String> {
    rung.variant.verdict.as_ref().map(verdict_line)
}

/// What was expected of a rung, and whether it came: the text, and `held` when it is known.
pub(crate) fn expected(rung: &Rung<'_>) -> Option<(String, Option<bool>)> {
    let prediction = rung.variant.prediction.as_ref()?;
    let [lo, hi] = prediction.range_per_s;
    let range = format!("{}–{}", significant(lo, 3), significant(hi, 3));
    let head = format!("expected of {}: {range}", clean(&prediction.lever));
    let Some(measured) = prediction.measured_per_s else { return Some((head, None)) };
    let text = format!(
        "{head}, measured {}, {}",
        significant(measured, 3),
        predictions::outcome(prediction)
    );
    Some((text, prediction.held))
}

/// How open load went: `at 200 rows/s by schedule: response p95 3.2 ms from the intended start, …`.
pub(crate) fn schedule(rung: &Rung<'_>) -> Option<String> {
    let (target, summary) = (rung.target()?, rung.variant.summary.as_ref()?);
    let (most, end) = rung.backlog();
    let latency = &summary.latency_ms;
    Some(format!(
        "at {} rows/s by schedule: response p50 {}, p95 {}, p99 {} ms from the intended start; \
         backlog {} at most, {} at the end",
        significant(target, 3),
        significant(latency.p50, 3),
        significant(latency.p95, 3),
        significant(latency.p99, 3),
        group_thousands(most),
        group_thousands(end)
    ))
}

/// Whether a trial's factors name asynchronous commit.
pub(crate) fn commit(trial: &Trial) -> String {
    match trial.factors.get("synchronous_commit").and_then(Value::as_str) {
        Some("off") => "asynchronous".to_owned(),
        Some(_) => "synchronous".to_owned(),
        None => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::climb::rungs;
    use crate::fixture;

    #[test]
    fn a_figure_that_is_none_is_never_the_best() {
        let mut result = fixture::ladder();
        let summary = result.variants[7].summary.as_mut().unwrap();
        summary.throughput_per_s.median = f64::NAN;
        let lines = conclusions(&result, &rungs(&result));
        assert!(lines[0].starts_with("Best durable rung: 3-A with 344,788"), "{lines:?}");
    }

    #[test]
    fn a_rung_that_failed_is_never_the_best() {
        let mut result = fixture::ladder();
        result.variants[7].status = VariantStatus::Failed;
        let lines = conclusions(&result, &rungs(&result));
        assert!(lines[0].starts_with("Best durable rung: 3-A with 344,788"), "{lines:?}");
    }

    #[test]
    fn the_best_is_named_also_when_the_first_rung_has_no_figures() {
        let mut result = fixture::ladder();
        result.variants[1].summary = None;
        let lines = conclusions(&result, &rungs(&result));
        assert_eq!(lines[0], "Best durable rung: 3-B with 557,046 rows/s.");
    }

    #[test]
    fn nothing_is_called_durable_where_the_server_keeps_nothing() {
        for setting in ["fsync", "full_page_writes"] {
            let mut result = fixture::ladder();
            let settings = &mut result.environment.software[0].settings;
            settings.insert(setting.to_owned(), "off".to_owned());
            let lines = conclusions(&result, &rungs(&result));
            assert!(lines[0].starts_with("Best rung with commits awaited: 3-B"), "{lines:?}");
            assert!(!lines.join("\n").contains("durable"), "{lines:?}");
        }
    }

    #[test]
    fn a_crash_after_awaited_commits_must_cost_nothing() {
        let mut result = fixture::ladder();
        let crash = result.variants[8].trials[0].crash.clone();
        for trial in &mut result.variants[7].trials {
            trial.crash.clone_from(&crash);
            trial.crash.as_mut().unwrap().lost_rows = 0;
        }
        let lines = conclusions(&result, &rungs(&result)).join("\n");
        assert!(lines.contains(
            "Rung 3-B (commits awaited): 2 crashes right after a trial lost no acknowledged row."
        ));
    }
}
