use pinchpoint_measure::{RunResult, factor_text, factor_u64, group_thousands, significant};

use crate::document::Document;
use crate::share::{PARTS, parts};
use crate::text::clean;

/// Where the time of one operation went.
pub(super) fn phases(document: &mut Document, result: &RunResult) {
    let mut rows = Vec::new();
    for variant in &result.variants {
        let Some(summary) = &variant.summary else { continue };
        let shares = parts(&summary.phases_ms);
        let mut row = vec![clean(&variant.name), significant(summary.latency_ms.avg, 3)];
        row.extend(PARTS.iter().map(|part| {
            match shares.iter().find(|(p, ms, _)| p == part && *ms > 0.0) {
                Some((_, ms, share)) => format!("{} ({:.0} %)", significant(*ms, 3), share * 100.0),
                None => "–".to_owned(),
            }
        }));
        rows.push(row);
    }
    document.heading("Where the time of one operation went");
    let mut head = vec!["rung", "whole ms"];
    head.extend(PARTS.iter().map(|p| p.name()));
    document.table(1, &head, rows);
    document.paragraph(
        "Mean milliseconds of an operation, and their share. Connect is opening the socket, TLS, \
         authentication and closing; encode is generating and encoding rows on the client; commit \
         is the time from the statement's completion until the server is ready again. For single \
         rows it is told apart for one operation in sixteen, as that costs a packet.",
    );
}

/// The price of a batch for the row that waits in it.
pub(super) fn batching(document: &mut Document, result: &RunResult) {
    let mut rows = Vec::new();
    for variant in &result.variants {
        let Some(summary) = &variant.summary else { continue };
        let batch = variant.trials.first().and_then(|t| factor_u64(&t.factors, "batch"));
        rows.push(vec![
            clean(&variant.name),
            factor_text(&variant.factors, "method"),
            batch.map_or_else(|| "–".to_owned(), group_thousands),
            significant(summary.statement_latency_ms.avg, 3),
            significant(summary.statement_latency_ms.p95, 3),
            significant(summary.per_row_latency_ms, 3),
        ]);
    }
    document.heading("What batching costs");
    let head = ["rung", "method", "batch", "statement avg ms", "statement p95 ms", "ms a row"];
    document.table(2, &head, rows);
    document.paragraph(
        "A latency per row is the statement's time divided by its rows: it says what a row costs, \
         not how long it waits. A row waits for its whole statement, and before that until its \
         batch is full. Where an answer is awaited, read the statement's columns.",
    );
}

/// Batch sizes tried before methods were ranked.
pub(super) fn sweeps(document: &mut Document, result: &RunResult) {
    if result.sweeps.is_empty() {
        return;
    }
    document.heading("Batch sizes tried");
    let mut rows = Vec::new();
    for sweep in &result.sweeps {
        for point in &sweep.points {
            let chosen = if point.batch == sweep.chosen_batch { "chosen" } else { "" };
            rows.push(vec![
                clean(&sweep.variant),
                chosen.to_owned(),
                group_thousands(point.batch),
                significant(point.throughput_per_s, 3),
                significant(point.p95_ms, 3),
            ]);
        }
    }
    document.table(2, &["rung", "", "batch", "rows/s", "statement p95 ms"], rows);
    document.paragraph(
        "One short measurement each: enough to rank sizes that differ by far. Of sizes within 3 % \
         of the fastest, the smallest is taken.",
    );
}
