use std::collections::BTreeMap;
use std::time::SystemTime;

use pinchpoint_diagnose::{Machine, hold_against, predict, records, verdict};
use pinchpoint_measure::{Event, RunResult, RunStatus, Spread};
use pinchpoint_plan::{Experiment, Like};

use crate::clock;
use crate::ledger::Ledger;
use crate::resolve::{Settled, best_durable, planned_factors};

/// After a rung's trial: its verdict, and, before the next rung is run for the first time, what is
/// expected of that one. A prediction is frozen once it is stated.
pub(crate) fn after_trial(
    result: &mut RunResult,
    experiment: &Experiment,
    settled: &BTreeMap<usize, Settled>,
    index: usize,
) -> Vec<Event> {
    let mut events = Vec::new();
    let machine = machine(result);
    if let Some(found) = verdict(&result.variants[index], &machine) {
        let variant = result.variants[index].name.clone();
        events.push(Event::Verdict { variant, verdict: Box::new(found.clone()) });
        result.variants[index].verdict = Some(found);
    }
    let next = index + 1;
    let Some(rung) = experiment.rungs.get(next) else { return events };
    let first_time = result.variants[next].trials.is_empty() && !settled.contains_key(&next);
    if !first_time || !rung.write {
        return events;
    }
    let from = match &rung.like {
        Some(Like::Best) => best_durable(experiment, result),
        _ => experiment.rungs[..next].iter().rev().find(|r| r.write).map(|r| r.name.clone()),
    };
    let Some(from) = from.and_then(|name| result.variant(&name).cloned()) else { return events };
    let mut factors = planned_factors(rung);
    if matches!(rung.like, Some(Like::Best)) {
        let commit = factors.get("synchronous_commit").cloned();
        factors = from.factors.clone();
        if let Some(commit) = commit {
            factors.insert("synchronous_commit".to_owned(), commit);
        }
    } else if let Some(sweep) = result.sweeps.iter().find(|s| s.variant == rung.name) {
        factors.insert("batch".to_owned(), sweep.chosen_batch.into());
    }
    let lever = rung.lever.as_deref().unwrap_or_default();
    let ceiling = null_ceiling(result, experiment);
    if let Some(mut prediction) = predict(&from, &factors, lever, &machine, ceiling) {
        prediction.seal(clock::timestamp(SystemTime::now()));
        let variant = rung.name.clone();
        events.push(Event::Prediction { variant, prediction: prediction.clone() });
        result.variants[next].prediction = Some(prediction);
    }
    events
}

/// At the end: predictions are held against what came.
pub(crate) fn after_run(result: &mut RunResult) -> Vec<Event> {
    let machine = machine(result);
    let mut events = Vec::new();
    for variant in &mut result.variants {
        if let Some(found) = verdict(variant, &machine) {
            variant.verdict = Some(found);
        }
        let measured: Option<Spread> = variant.summary.as_ref().map(|s| s.throughput_per_s.clone());
        if let (Some(prediction), Some(measured)) = (&mut variant.prediction, measured) {
            hold_against(prediction, &measured);
            let (variant, prediction) = (variant.name.clone(), prediction.clone());
            events.push(Event::Prediction { variant, prediction });
        }
    }
    events
}

/// Keeps the judged predictions of a run that completed. What went wrong is said and fails nothing.
pub(crate) fn remember(result: &RunResult, ledger: &Ledger) -> Option<String> {
    if result.status != RunStatus::Complete {
        return None;
    }
    let error = ledger.append(&records(result)).err()?;
    Some(format!("what became of this run's predictions is not remembered: {error}"))
}

/// What a verdict needs to know of the machine.
pub(crate) fn machine(result: &RunResult) -> Machine {
    Machine { cpus: result.environment.cpus, fsync_us: result.environment.fsync_us }
}

/// The throughput of the rung that writes nothing, when it has been measured.
fn null_ceiling(result: &RunResult, experiment: &Experiment) -> Option<f64> {
    let null = experiment.rungs.iter().find(|r| !r.write)?;
    Some(result.variant(&null.name)?.summary.as_ref()?.throughput_per_s.median)
}
