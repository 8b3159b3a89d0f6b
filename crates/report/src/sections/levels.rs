use pinchpoint_measure::{Factors, RunResult, Variant, factor_text};

use crate::document::Document;
use crate::text::clean;

/// Factors in the order in which people look for them: key, heading.
const FACTORS: [(&str, &str); 7] = [
    ("connection", "connection"),
    ("method", "method"),
    ("synchronous_commit", "synchronous commit"),
    ("pool", "pool"),
    ("pool_min", "pool min"),
    ("concurrency", "at once"),
    ("batch", "batch"),
];

/// What each rung ran with, and what of it the rung before had otherwise.
pub(super) fn levels(document: &mut Document, result: &RunResult) {
    let mut rows = Vec::new();
    let mut before: Option<&Factors> = None;
    for variant in &result.variants {
        let factors = resolved(variant);
        let mut row = vec![clean(&variant.name)];
        row.push(before.map_or_else(|| "–".to_owned(), |before| changes(before, factors)));
        row.extend(FACTORS.iter().map(|(key, _)| clean(&factor_text(factors, key))));
        rows.push(row);
        if factors.get("write") != Some(&false.into()) {
            before = Some(factors);
        }
    }
    if rows.is_empty() {
        return;
    }
    document.heading("What each rung changed");
    let mut head = vec!["rung", "against the rung before"];
    head.extend(FACTORS.iter().map(|(_, heading)| *heading));
    document.table(5, &head, rows);
}

/// A variant's levels; those that were found while it ran are in its trials.
fn resolved(variant: &Variant) -> &Factors {
    variant.trials.first().map_or(&variant.factors, |trial| &trial.factors)
}

/// `pool 50 → 100, batch 1 → 100`.
fn changes(before: &Factors, now: &Factors) -> String {
    let changed: Vec<_> = FACTORS
        .iter()
        .filter_map(|(key, heading)| {
            let (was, is) = (clean(&factor_text(before, key)), clean(&factor_text(now, key)));
            // The smallest size of a pool says little where its largest is shown.
            (was != is && *key != "pool_min").then(|| format!("{heading} {was} → {is}"))
        })
        .collect();
    if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") }
}
