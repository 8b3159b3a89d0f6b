//! What was expected of variants, and what became of it.

use pinchpoint_measure::{Prediction, RunResult, Variant, significant};

use crate::document::Document;
use crate::text::{clean, count};

/// `6 of 7 predictions held, median width × 1.7.`, and what is not what was stated.
pub(crate) fn lines(result: &RunResult) -> Vec<String> {
    let mut lines: Vec<String> = fared(result).into_iter().collect();
    lines.extend(broken(result));
    lines
}

/// A warning for each prediction that is not what was stated.
pub(crate) fn broken(result: &RunResult) -> impl Iterator<Item = String> {
    let broken = result
        .variants
        .iter()
        .filter(|v| v.prediction.as_ref().is_some_and(|p| p.seal_holds() == Some(false)));
    broken.map(|variant| {
        format!(
            "Warning: the prediction of {} does not match its hash: it is not what was stated \
             before that was run.",
            clean(&variant.name)
        )
    })
}

fn fared(result: &RunResult) -> Option<String> {
    let judged: Vec<&Prediction> = result
        .variants
        .iter()
        .filter_map(|v| v.prediction.as_ref())
        .filter(|p| p.measured_per_s.is_some())
        .collect();
    let mut widths: Vec<f64> = judged.iter().map(|p| p.range_per_s[1] / p.range_per_s[0]).collect();
    widths.sort_unstable_by(f64::total_cmp);
    let middle = widths.get(widths.len() / 2)?.midpoint(widths[(widths.len() - 1) / 2]);
    let undecided = match judged.iter().filter(|p| p.held.is_none()).count() {
        0 => String::new(),
        n => format!(", {n} undecided"),
    };
    Some(format!(
        "{} of {} held{undecided}, median width × {}.{}",
        judged.iter().filter(|p| p.held == Some(true)).count(),
        count(judged.len(), "prediction", "predictions"),
        significant(middle, 3),
        limits(result).map_or_else(String::new, |text| format!(" {text}"))
    ))
}

/// `What then limits was foreseen in 5 of 7.`
fn limits(result: &RunResult) -> Option<String> {
    let came = result.variants.iter().filter_map(|v| {
        let prediction = v.prediction.as_ref().filter(|p| p.measured_per_s.is_some())?;
        prediction.limit_came(v.verdict.as_ref()?)
    });
    let came: Vec<bool> = came.collect();
    let right = came.iter().filter(|right| **right).count();
    (!came.is_empty())
        .then(|| format!("What then limits was foreseen in {right} of {}.", came.len()))
}

/// `expected app-cpu to limit, found pool-wait`; `None` where that was not said.
pub(crate) fn limit(variant: &Variant) -> Option<String> {
    let prediction = variant.prediction.as_ref()?;
    let expected = format!("expected {} to limit", clean(prediction.limit.as_deref()?));
    let verdict = variant.verdict.as_ref().filter(|_| prediction.measured_per_s.is_some());
    Some(match verdict {
        Some(verdict) => format!("{expected}, found {}", clean(&verdict.bottleneck)),
        None => expected,
    })
}

/// What became of a prediction that was held against a measurement.
pub(crate) fn outcome(prediction: &Prediction) -> &'static str {
    match prediction.held {
        Some(true) => "held",
        Some(false) => "missed",
        None => "undecided",
    }
}

/// A line for each prediction, and below the table what each is based on. `kind` is what variants
/// are called here, `unit` what they make in a second.
pub(crate) fn section(document: &mut Document, result: &RunResult, kind: &str, unit: &str) {
    let predicted: Vec<(String, &Prediction)> = result
        .variants
        .iter()
        .filter_map(|v| Some((clean(&v.name), v.prediction.as_ref()?)))
        .collect();
    if !predicted.is_empty() {
        table(document, result, &predicted, kind, unit);
    }
    let silent = result.variants.iter().filter_map(|v| {
        Some(format!("{kind} {}: {}", clean(&v.name), clean(v.unpredicted.as_deref()?)))
    });
    let silent: Vec<String> = silent.collect();
    if !silent.is_empty() {
        document.paragraph("Nothing was expected of these, for a reason:".to_owned());
        document.list(silent);
    }
}

fn table(
    document: &mut Document,
    result: &RunResult,
    predicted: &[(String, &Prediction)],
    kind: &str,
    unit: &str,
) {
    let expected = format!("expected {unit}/s");
    let from = format!("from {kind}");
    let head = [kind, "lever", &expected, "width", "measured", "", &from];
    document.table(2, &head, predicted.iter().map(|(name, p)| row(name, p)).collect());
    document.paragraph(format!(
        "A range is computed from the {kind} that it starts from, and stated before the {kind} is \
         run for the first time; it is not changed afterwards. This is what each is based on:"
    ));
    let bases = result.variants.iter().filter_map(|variant| {
        let prediction = variant.prediction.as_ref()?;
        let limit = limit(variant).map_or_else(String::new, |text| format!("; {text}"));
        Some(format!("{kind} {}: {}{limit}", clean(&variant.name), prediction.basis))
    });
    document.list(bases.collect());
}

fn row(name: &str, prediction: &Prediction) -> Vec<String> {
    let [lo, hi] = prediction.range_per_s;
    let held = prediction.measured_per_s.map_or("not measured", |_| outcome(prediction));
    vec![
        name.to_owned(),
        clean(&prediction.lever),
        format!("{}–{}", significant(lo, 3), significant(hi, 3)),
        format!("× {}", significant(hi / lo, 3)),
        prediction.measured_per_s.map_or_else(|| "–".to_owned(), |x| significant(x, 3)),
        held.to_owned(),
        clean(&prediction.from),
    ]
}
