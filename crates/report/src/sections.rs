//! What the report says, section by section.

mod analysis;
mod climb;
mod environment;
mod promises;
mod reading;
mod time;

use pinchpoint_measure::{RunResult, RunStatus, human_duration};

use crate::document::{Block, Document};

/// The report of a result.
pub(crate) fn document(result: &RunResult) -> Document {
    let mut document =
        Document { title: format!("pinchpoint: {}", result.experiment), blocks: Vec::new() };
    opening(&mut document, result);
    climb::climb(&mut document, result);
    document.blocks.push(Block::Image {
        path: "plots/ladder.png".to_owned(),
        alt: "Throughput of each rung on a logarithmic axis, and where the time of one operation went"
            .to_owned(),
    });
    climb::documents(&mut document, result);
    time::phases(&mut document, result);
    time::batching(&mut document, result);
    time::sweeps(&mut document, result);
    analysis::analysis(&mut document, result);
    promises::ledger(&mut document, result);
    promises::crashes(&mut document, result);
    promises::errors(&mut document, result);
    environment::environment(&mut document, result);
    reading::reading(&mut document);
    document
}

fn opening(document: &mut Document, result: &RunResult) {
    if !result.description.is_empty() {
        document.paragraph(result.description.clone());
    }
    let reason = result.reason.as_deref().unwrap_or("no reason given");
    match result.status {
        RunStatus::Complete => (),
        RunStatus::Interrupted => document.note(format!(
            "This run was interrupted ({reason}). What is here was measured before; what is \
             missing was not run."
        )),
        RunStatus::Failed => document.note(format!("This run failed: {reason}.")),
        RunStatus::Running => {
            document.note("This run has not ended, or was killed: its last word is missing.");
        }
    }
    let plan = &result.plan;
    let pace = match plan.target_per_s {
        Some(target) => format!("at {target} rows/s"),
        None => "flat out, or as the experiment's stages say".to_owned(),
    };
    document.paragraph(format!(
        "Begun {}. {} trial{} of {} for each rung, interleaved, {pace}; warm-up {}; seed {}; {} \
         load thread{}. Written by pinchpoint {}.",
        result.started_at,
        plan.trials,
        if plan.trials == 1 { "" } else { "s" },
        human_duration(plan.duration_s),
        plan.warmup,
        plan.seed,
        plan.load_threads,
        if plan.load_threads == 1 { "" } else { "s" },
        result.pinchpoint_version,
    ));
    for warning in &result.warnings {
        document.note(warning.clone());
    }
}
