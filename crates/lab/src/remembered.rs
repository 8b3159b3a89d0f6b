//! What became of predictions: judged at the end of a run, kept, and learned from by the next.

use pinchpoint_diagnose::{Experience, hold_against, records};
use pinchpoint_measure::{Event, RunResult, RunStatus};

use crate::ledger::Ledger;

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
