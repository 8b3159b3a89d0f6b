use std::collections::BTreeMap;
use std::time::SystemTime;

use pinchpoint_diagnose::{
    Experience, Machine, Outlook, Sounding, SoundingPlan, hold_against, predict, records,
    soundings, verdict,
};
use pinchpoint_measure::{Event, Factors, RunResult, RunStatus, Spread, Variant};
use pinchpoint_plan::{Experiment, Like};

use crate::clock;
use crate::ledger::Ledger;
use crate::resolve::{Settled, best_durable, planned_factors};

/// About how long a warm-up takes, in seconds: its rows are in the table too.
const WARM_UP_S: f64 = 1.3;

/// A step that is about to be taken for the first time.
pub(crate) struct Step {
    /// The rung that it leads to.
    pub(crate) index: usize,
    from: Variant,
    factors: Factors,
    lever: String,
}

/// After a rung's trial: what limited it.
pub(crate) fn diagnose(result: &mut RunResult, index: usize) -> Option<Event> {
    let found = verdict(&result.variants[index], &machine(result))?;
    let variant = result.variants[index].name.clone();
    result.variants[index].verdict = Some(found.clone());
    Some(Event::Verdict { variant, verdict: Box::new(found) })
}

/// The step after a rung, when it has not been taken yet and a rung that writes leads to it.
pub(crate) fn next_step(
    result: &RunResult,
    experiment: &Experiment,
    settled: &BTreeMap<usize, Settled>,
    index: usize,
) -> Option<Step> {
    let next = index + 1;
    let rung = experiment.rungs.get(next)?;
    let first_time = result.variants[next].trials.is_empty() && !settled.contains_key(&next);
    if !first_time || !rung.write {
        return None;
    }
    let from = match &rung.like {
        Some(Like::Best) => best_durable(experiment, result),
        _ => experiment.rungs[..next].iter().rev().find(|r| r.write).map(|r| r.name.clone()),
    };
    let from = result.variant(&from?)?.clone();
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
    Some(Step { index: next, from, factors, lever: rung.lever.clone().unwrap_or_default() })
}

/// What is to be tried before a step.
pub(crate) fn soundings_before(result: &RunResult, step: &Step) -> Vec<SoundingPlan> {
    soundings(&step.from, &step.factors, &machine(result))
}

/// States what is expected of a step: sealed, and from then on in the result.
pub(crate) fn state(
    result: &mut RunResult,
    experiment: &Experiment,
    step: &Step,
    soundings: &[Sounding],
    experience: &Experience,
) -> Option<Event> {
    let outlook = Outlook {
        lever: &step.lever,
        machine: &machine(result),
        null_ceiling_per_s: null_ceiling(result, experiment),
        soundings,
        trial_s: experiment.load.duration.as_secs_f64() + WARM_UP_S,
        experience,
    };
    let mut prediction = predict(&step.from, &step.factors, &outlook)?;
    prediction.seal(clock::timestamp(SystemTime::now()));
    let variant = &mut result.variants[step.index];
    variant.prediction = Some(prediction.clone());
    Some(Event::Prediction { variant: variant.name.clone(), prediction })
}

/// What past runs teach, and what to say where they cannot be read.
pub(crate) fn experience(ledger: Option<&Ledger>) -> (Experience, Option<String>) {
    match ledger.map(Ledger::read) {
        None => (Experience::default(), None),
        Some(Ok(content)) => (Experience::of(&content.records), None),
        Some(Err(error)) => {
            let text = format!("past predictions are not learned from: {error}");
            (Experience::default(), Some(text))
        }
    }
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
