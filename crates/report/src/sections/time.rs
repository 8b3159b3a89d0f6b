use pinchpoint_measure::{Phase, RunResult, factor_text, factor_u64, group_thousands, significant};

use crate::document::Document;
use crate::share::{PARTS, parts};
use crate::text::{clean, percent};

/// Where the time of one operation went.
pub(super) fn phases(document: &mut Document, result: &RunResult) {
    let mut rows = Vec::new();
    for variant in &result.variants {
        let Some(summary) = &variant.summary else { continue };
        let shares = parts(&summary.phases_ms);
        let mut row = vec![clean(&variant.name), significant(summary.latency_ms.avg, 3)];
        row.extend(PARTS.iter().map(|part| {
            match shares.iter().find(|(p, ms, _)| p == part && *ms > 0.0) {
                Some((_, ms, share)) => format!("{} ({})", significant(*ms, 3), percent(*share)),
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

/// What opening and closing a connection is made of, where operations wait for it.
pub(super) fn connecting(document: &mut Document, result: &RunResult) {
    const PARTS: [Phase; 4] = [Phase::Tcp, Phase::Tls, Phase::Auth, Phase::Disconnect];
    let mut rows = Vec::new();
    for variant in &result.variants {
        let Some(summary) = &variant.summary else { continue };
        let ms = |phase: &Phase| summary.phases_ms.get(phase).copied().unwrap_or(0.0);
        if PARTS.iter().any(|phase| ms(phase) > 0.0) {
            let mut row = vec![clean(&variant.name)];
            row.extend(PARTS.iter().map(|phase| significant(ms(phase), 3)));
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return;
    }
    document.heading("What a connection costs");
    document.table(1, &["rung", "tcp ms", "tls ms", "auth ms", "disconnect ms"], rows);
    document.paragraph(
        "Mean milliseconds of an operation. auth is from the start-up packet until the server is \
         ready: the authentication, and the fork of a backend.",
    );
}

/// The price of a batch for the row that waits in it.
pub(super) fn batching(document: &mut Document, result: &RunResult) {
    let mut rows = Vec::new();
    for variant in &result.variants {
        let Some(summary) = &variant.summary else { continue };
        // A batch size or method that was found while the run went on is in the trials.
        let factors = variant.trials.first().map_or(&variant.factors, |trial| &trial.factors);
        let batch = factor_u64(factors, "batch");
        rows.push(vec![
            clean(&variant.name),
            clean(&factor_text(factors, "method")),
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
        "The mean of two short measurements each: enough to rank sizes that differ by far. Of sizes within 3 % \
         of the fastest, the smallest is taken.",
    );
}
