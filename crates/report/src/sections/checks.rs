use std::collections::BTreeMap;

use pinchpoint_measure::{RunResult, group_thousands};

use super::promises::trials;
use crate::document::Document;
use crate::text::clean;

/// The checks that a trial's figures must pass to be believed.
pub(super) fn gates(document: &mut Document, result: &RunResult) {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut missed = Vec::new();
    for (name, trial) in trials(result) {
        for gate in &trial.gates {
            let (held, all) = counts.entry(clean(&gate.name)).or_default();
            *all += 1;
            *held += usize::from(gate.passed);
            if !gate.passed {
                let (gate, detail) = (clean(&gate.name), clean(&gate.detail));
                missed.push(vec![name.clone(), gate, detail, trial.number.to_string()]);
            }
        }
    }
    if counts.is_empty() {
        return;
    }
    document.heading("Checks of the figures");
    let counts: Vec<_> =
        counts.iter().map(|(name, (held, all))| format!("{name} {held} of {all}")).collect();
    document.paragraph(format!(
        "Figures that cannot be true are marked. Held, over all trials: {}.",
        counts.join(", ")
    ));
    document.table(3, &["rung", "check", "figures", "trial"], missed);
}

/// Failures by SQLSTATE or cause.
pub(super) fn errors(document: &mut Document, result: &RunResult) {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (name, trial) in trials(result) {
        for (cause, count) in &trial.errors {
            let sum = counts.entry((name.clone(), clean(cause))).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    if counts.is_empty() {
        return;
    }
    document.heading("Errors");
    let rows = counts
        .into_iter()
        .map(|((name, cause), count)| vec![name, cause, group_thousands(count)])
        .collect();
    document.table(2, &["rung", "cause", "operations"], rows);
    document.paragraph("Over the whole of each trial, warm-up included.");
}
