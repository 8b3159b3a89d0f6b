use std::collections::BTreeMap;
use std::time::SystemTime;

use pinchpoint_diagnose::{
    Experience, Machine, Outlook, Sounding, SoundingPlan, predict, soundings, verdict,
};
use pinchpoint_measure::{Event, Factors, Prediction, RunResult, Variant};
use pinchpoint_plan::{Experiment, Like};

use crate::clock;
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

/// States what is expected of a step, or why nothing is.
pub(crate) fn state(
    result: &mut RunResult,
    experiment: &Experiment,
    step: &Step,
    soundings: &[Sounding],
    experience: &Experience,
) -> Event {
    let outlook = Outlook {
        lever: &step.lever,
        machine: &machine(result),
        null_ceiling_per_s: null_ceiling(result, experiment),
        soundings,
        trial_s: experiment.load.duration.as_secs_f64() + WARM_UP_S,
        experience,
    };
    let expected = predict(&step.from, &step.factors, &outlook).map_err(|why| why.to_string());
    keep(result, step.index, expected)
}

/// Keeps what is expected of a variant, sealed, or why nothing is: in the result from then on.
pub(crate) fn keep(
    result: &mut RunResult,
    at: usize,
    expected: Result<Prediction, String>,
) -> Event {
    let variant = &mut result.variants[at];
    let name = variant.name.clone();
    match expected {
        Ok(mut prediction) => {
            prediction.seal(clock::timestamp(SystemTime::now()));
            variant.prediction = Some(prediction.clone());
            Event::Prediction { variant: name, prediction }
        }
        Err(reason) => {
            variant.unpredicted = Some(reason.clone());
            Event::Unpredicted { variant: name, reason }
        }
    }
}

/// At the end: what limited each rung, all trials together.
pub(crate) fn after_run(result: &mut RunResult) {
    let machine = machine(result);
    for variant in &mut result.variants {
        if let Some(found) = verdict(variant, &machine) {
            variant.verdict = Some(found);
        }
    }
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
