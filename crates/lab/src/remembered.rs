//! What became of predictions: judged at the end of a run, kept, and learned from by the next.

use pinchpoint_diagnose::{Experience, hold_against, records};
use pinchpoint_measure::{Event, PredictionRecord, RunResult, RunStatus};

use crate::http_run::NAME as REQUESTS;
use crate::ledger::Ledger;
use crate::sql_run::NAME as SCRIPTS;

/// What past runs of rungs and cases teach, and what to say where they cannot be read.
pub(crate) fn experience(ledger: Option<&Ledger>) -> (Experience, Option<String>) {
    learned(ledger, |record| ![SCRIPTS, REQUESTS].contains(&record.experiment.as_str()))
}

/// What past runs against servers of somebody else's teach: those are other applications than ours.
pub(crate) fn experience_of_requests(ledger: Option<&Ledger>) -> (Experience, Option<String>) {
    learned(ledger, |record| record.experiment == REQUESTS)
}

/// What past runs of scripts teach: their ranges are computed otherwise, for levers of the same names.
pub(crate) fn experience_of_scripts(ledger: Option<&Ledger>) -> (Experience, Option<String>) {
    learned(ledger, |record| record.experiment == SCRIPTS)
}

fn learned(
    ledger: Option<&Ledger>,
    counts: impl Fn(&PredictionRecord) -> bool,
) -> (Experience, Option<String>) {
    match ledger.map(Ledger::read) {
        None => (Experience::default(), None),
        Some(Ok(mut content)) => {
            content.records.retain(counts);
            (Experience::of(&content.records), None)
        }
        Some(Err(error)) => {
            let text = format!("past predictions are not learned from: {error}");
            (Experience::default(), Some(text))
        }
    }
}

/// At the end: predictions are held against what came.
pub(crate) fn judge(result: &mut RunResult) -> Vec<Event> {
    let mut events = Vec::new();
    for variant in &mut result.variants {
        if let (Some(prediction), Some(summary)) = (&mut variant.prediction, &variant.summary) {
            hold_against(prediction, &summary.throughput_per_s);
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

#[cfg(test)]
mod tests {
    use pinchpoint_diagnose::MODEL;
    use pinchpoint_measure::{Judgement, Prediction};

    use super::*;

    /// Nine predictions of a lever, each missed by a factor of 1.3.
    fn missed(experiment: &str) -> Vec<PredictionRecord> {
        let record = |n: usize| {
            let mut prediction = Prediction {
                lever: "concurrency".to_owned(),
                range_per_s: [100.0, 200.0],
                widened: Some(1.0),
                measured_per_s: Some(260.0),
                judgement: Some(Judgement::Missed),
                ..Prediction::default()
            };
            prediction.seal(format!("then {n}"));
            PredictionRecord {
                experiment: experiment.to_owned(),
                run: format!("then {n}"),
                model: MODEL,
                prediction,
                ..PredictionRecord::default()
            }
        };
        (0..9).map(record).collect()
    }

    #[test]
    fn scripts_requests_and_rungs_learn_from_their_own_misses_only() {
        let directory = tempfile::tempdir().unwrap();
        let widened = |experiment: &str| {
            let ledger = Ledger::at(directory.path().join(experiment));
            ledger.append(&missed(experiment)).unwrap();
            let of = |(experience, unreadable): (Experience, Option<String>)| {
                assert_eq!(unreadable, None);
                format!("{:.3}", experience.widening("concurrency"))
            };
            [experience, experience_of_scripts, experience_of_requests]
                .map(|e| of(e(Some(&ledger))))
        };
        let prior = || format!("{:.3}", Experience::PRIOR);
        assert_eq!(widened("ladder"), ["1.300".to_owned(), prior(), prior()]);
        assert_eq!(widened("sql"), [prior(), "1.300".to_owned(), prior()]);
        assert_eq!(widened("http"), [prior(), prior(), "1.300".to_owned()]);
    }
}
