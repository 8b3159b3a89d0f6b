use pinchpoint_measure::{RunResult, Verdict, significant};

use crate::document::Document;
use crate::explain::{source, verdict_line};
use crate::predictions;
use crate::probes::probe_lines;
use crate::text::{clean, percent};

/// What limited each rung, a line each, and what was expected of it.
pub(super) fn verdicts(document: &mut Document, result: &RunResult) {
    if result.variants.iter().all(|v| v.verdict.is_none() && v.prediction.is_none()) {
        return;
    }
    document.heading("What limited each rung, and what was expected of it");
    let row = |(name, verdict): (String, &Verdict)| {
        let second = verdict.runner_up.as_ref().map_or("–", |s| s.bottleneck.as_str());
        let time = verdict.where_time_goes.as_ref();
        let time = time.map(|t| format!("{} ({})", clean(&t.bottleneck), percent(t.share)));
        vec![
            name,
            clean(&verdict.bottleneck),
            clean(second),
            time.unwrap_or_else(|| "–".to_owned()),
            significant(verdict.confidence, 2),
        ]
    };
    let head = ["rung", "limited by", "second", "time goes to", "confidence"];
    document.table(4, &head, judged(result).map(row).collect());
    predictions::section(document, result, "rung", "rows");
}

/// How each verdict came about.
pub(super) fn analysis(document: &mut Document, result: &RunResult) {
    if judged(result).next().is_none() {
        return;
    }
    document.heading("How each verdict came about");
    for variant in &result.variants {
        if let Some(verdict) = &variant.verdict {
            let whole_ms = variant.summary.as_ref().map(|s| s.latency_ms.avg);
            one(document, &clean(&variant.name), verdict, whole_ms);
        }
    }
}

fn judged(result: &RunResult) -> impl Iterator<Item = (String, &Verdict)> {
    result.variants.iter().filter_map(|v| Some((clean(&v.name), v.verdict.as_ref()?)))
}

fn one(document: &mut Document, name: &str, verdict: &Verdict, whole_ms: Option<f64>) {
    let mut text = format!("Rung {name}: {}.", verdict_line(verdict));
    if let Some([lo, hi]) = verdict.gain {
        let (lo, hi) = (significant(lo, 2), significant(hi, 2));
        text.push_str(&format!(" Without it throughput could be {lo} to {hi} times as high."));
    }
    if let Some(next) = &verdict.next {
        text.push_str(&format!(" Then {next} would limit."));
    }
    if let Some(arithmetic) = &verdict.arithmetic {
        text.push_str(&format!(" Arithmetic: {arithmetic}."));
    }
    document.paragraph(text);
    budget(document, verdict, whole_ms);
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
    items.extend(probe_lines(verdict));
    items.extend(verdict.slow.iter().map(|s| format!("slow ones: {s}")));
    items.extend(verdict.advice.iter().map(|a| format!("what to do: {a}")));
    document.list(items);
}

/// An operation's time, line by line.
fn budget(document: &mut Document, verdict: &Verdict, whole_ms: Option<f64>) {
    let share = |ms: f64| whole_ms.map_or_else(|| "–".to_owned(), |whole| percent(ms / whole));
    let mut rows: Vec<Vec<String>> = verdict
        .budget
        .iter()
        .map(|line| {
            vec![
                line.name.clone(),
                source(line.source).to_owned(),
                significant(line.ms, 3),
                line.error_ms.map_or_else(|| "–".to_owned(), |e| significant(e, 2)),
                share(line.ms),
            ]
        })
        .collect();
    if let (Some(closure), false) = (verdict.closure, rows.is_empty()) {
        let sum = verdict.budget.iter().map(|line| line.ms).sum();
        let cells = ["sum", "", &significant(sum, 3), "–", &percent(closure)];
        rows.push(cells.map(str::to_owned).to_vec());
    }
    document.table(2, &["time of an operation", "from", "ms", "±", "share"], rows);
}
