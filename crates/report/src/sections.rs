//! What the report says, section by section.

mod analysis;
mod checks;
mod climb;
mod environment;
mod levels;
mod promises;
mod reading;
mod schedule;
mod time;

use pinchpoint_measure::{RunResult, RunStatus, human_duration, significant};

use crate::climb::rungs;
use crate::document::{Block, Document};
use crate::text::count;

/// The gates and errors of a result of any kind.
pub(crate) fn checks(document: &mut Document, result: &RunResult) {
    checks::gates(document, result);
    checks::errors(document, result);
}

pub(crate) use environment::environment;

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
    analysis::verdicts(&mut document, result);
    levels::levels(&mut document, result);
    climb::documents(&mut document, result);
    time::phases(&mut document, result);
    time::connecting(&mut document, result);
    schedule::schedule(&mut document, result);
    time::batching(&mut document, result);
    time::sweeps(&mut document, result);
    analysis::analysis(&mut document, result);
    promises::ledger(&mut document, result);
    promises::crashes(&mut document, result);
    checks::gates(&mut document, result);
    checks::errors(&mut document, result);
    environment(&mut document, result);
    reading::reading(&mut document, result);
    document
}

fn opening(document: &mut Document, result: &RunResult) {
    status(document, result);
    if !result.description.is_empty() {
        document.paragraph(result.description.clone());
    }
    how(document, result);
    for warning in &result.warnings {
        document.note(warning.clone());
    }
}

/// What did not go well comes first.
fn status(document: &mut Document, result: &RunResult) {
    let reason = result.reason.as_deref().unwrap_or("no reason given");
    match result.status {
        RunStatus::Complete => (),
        RunStatus::Interrupted => document.note(format!(
            "This run was stopped before its end ({reason}). What is here was measured before; \
             what is missing was not run."
        )),
        RunStatus::Failed => document.note(format!("This run failed: {reason}.")),
        RunStatus::Running => {
            document.note("This run has not ended, or was killed: its last word is missing.");
        }
    }
    let troubled: Vec<_> = rungs(result)
        .iter()
        .filter_map(|rung| Some(format!("rung {} {}", rung.name, rung.trouble()?)))
        .collect();
    if !troubled.is_empty() {
        document.note(format!("Not every rung has its figures: {}.", troubled.join("; ")));
    }
}

/// How the run was carried out.
fn how(document: &mut Document, result: &RunResult) {
    let plan = &result.plan;
    let pace = match plan.target_per_s {
        Some(target) => format!("at {} rows/s by schedule (open load)", significant(target, 3)),
        None => "flat out, or as the experiment's stages say".to_owned(),
    };
    document.paragraph(format!(
        "Begun {}. {} of {} for each rung, interleaved, {pace}; warm-up {}; seed {}; {}. Written by \
         pinchpoint {}.",
        result.started_at,
        count(plan.trials as usize, "trial", "trials"),
        human_duration(plan.duration_s),
        plan.warmup,
        plan.seed,
        count(plan.load_threads as usize, "load thread", "load threads"),
        result.pinchpoint_version,
    ));
}
