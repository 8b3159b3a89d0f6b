use pinchpoint_measure::{Prediction, RunResult, Verdict, significant};

use crate::conclusions::outcome;
use crate::document::Document;
use crate::probes::probe_line;
use crate::text::{clean, fixed, percent};

/// What limited each rung, by elimination, and what was expected of it.
pub(super) fn analysis(document: &mut Document, result: &RunResult) {
    if result.variants.iter().all(|v| v.verdict.is_none() && v.prediction.is_none()) {
        return;
    }
    document.heading("What limited each rung, and what was expected of it");
    let predictions: Vec<_> = result
        .variants
        .iter()
        .filter_map(|v| Some((clean(&v.name), v.prediction.as_ref()?)))
        .map(|(name, p)| prediction_row(name, p))
        .collect();
    let head = ["rung", "lever", "expected rows/s", "width", "measured", "", "from rung"];
    document.table(2, &head, predictions);
    if result.variants.iter().any(|v| v.prediction.is_some()) {
        document.paragraph(
            "A range is computed from the rung that it starts from, and stated before the rung is \
             run for the first time; it is not changed afterwards. This is what each is based on:",
        );
    }
    let bases = result.variants.iter().filter_map(|variant| {
        let prediction = variant.prediction.as_ref()?;
        Some(format!("rung {}: {}", variant.name, prediction.basis))
    });
    document.list(bases.collect());
    for variant in &result.variants {
        if let Some(verdict) = &variant.verdict {
            one(document, &clean(&variant.name), verdict);
        }
    }
}

fn prediction_row(name: String, prediction: &Prediction) -> Vec<String> {
    let [lo, hi] = prediction.range_per_s;
    let held = prediction.measured_per_s.map_or("not measured", |_| outcome(prediction));
    vec![
        name,
        clean(&prediction.lever),
        format!("{}–{}", significant(lo, 3), significant(hi, 3)),
        format!("× {}", significant(hi / lo, 3)),
        prediction.measured_per_s.map_or_else(|| "–".to_owned(), |x| significant(x, 3)),
        held.to_owned(),
        clean(&prediction.from),
    ]
}

fn one(document: &mut Document, name: &str, verdict: &Verdict) {
    let share = percent(verdict.share);
    document.paragraph(format!(
        "Rung {name} is limited by {} (share {share}, confidence {} of 1).{}",
        verdict.bottleneck,
        fixed(verdict.confidence, 1),
        verdict.arithmetic.as_ref().map_or_else(String::new, |a| format!(" Arithmetic: {a}."))
    ));
    let rows = verdict
        .elimination
        .iter()
        .map(|e| {
            let word = if e.limits { "limits" } else { "cleared" };
            vec![e.cause.clone(), e.finding.clone(), word.to_owned()]
        })
        .collect();
    document.table(3, &["cause", "finding", ""], rows);
    let mut items: Vec<String> = Vec::new();
    items.extend(verdict.evidence.iter().map(|e| format!("for it: {e}")));
    items.extend(verdict.against.iter().map(|a| format!("against it: {a}")));
    // Those that were weighed stand above; here is what each gave, and which were not made.
    items.extend(verdict.probes.iter().map(probe_line));
    document.list(items);
}
