//! The search for a pool's size: the answer, a table, a plot.

use std::fmt::Write as _;

use pinchpoint_measure::{PoolAdvice, RunResult, Variant, factor_u64, significant};

use crate::table::{Flow, Paint, Style};
use crate::text::{clean, pad_left, shorten};
use crate::{File, ReportError, csv, file, plots};

/// Whether a result is of a search for a pool's size.
pub(crate) fn is_pool(result: &RunResult) -> bool {
    result.pool.is_some()
}

/// Every file that derives from such a result.
pub(crate) fn files(result: &RunResult) -> Result<Vec<File>, ReportError> {
    let mut files = csv::files(result);
    files.retain(|f| !f.path.starts_with("metrics/"));
    let summary = summary(result, 100, Style::Plain);
    let markdown = format!(
        "# pinchpoint pool\n\n![throughput and p95 over the pool's size](plots/pool.png)\n\n    {}\n",
        summary.trim_end().replace('\n', "\n    ")
    );
    files.push(file("summary_report.md", markdown.into_bytes()));
    files.push(file("plots/pool.png", plots::pool(result)?));
    Ok(files)
}

/// A size and its figures, smallest first.
pub(crate) fn levels(result: &RunResult) -> Vec<(u64, &Variant)> {
    let variants = result.variants.iter();
    let mut levels: Vec<_> =
        variants.filter_map(|v| Some((factor_u64(&v.factors, "pool")?, v))).collect();
    levels.sort_by_key(|(size, _)| *size);
    levels
}

/// The table and the answer for a terminal of so many columns.
pub(crate) fn summary(result: &RunResult, columns: usize, style: Style) -> String {
    let columns = columns.clamp(40, 400);
    let mut out = String::new();
    let Some(advice) = &result.pool else { return out };
    let head = format!(
        "{} {} {} {} {}",
        pad_left("pool", 6),
        pad_left("tps", 12),
        pad_left("of best", 8),
        pad_left("p95 ms", 9),
        pad_left("rounds", 6)
    );
    let _ = writeln!(out, "{}", style.paint(Paint::Bold, &shorten(&head, columns)));
    let levels = levels(result);
    let rate = |v: &Variant| v.summary.as_ref().map_or(0.0, |s| s.throughput_per_s.median);
    // Of the medians in this table; the advice compares what is cleared of the rounds' drift.
    let best = levels.iter().map(|(_, v)| rate(v)).fold(1e-9, f64::max);
    for (size, variant) in levels {
        let share = rate(variant) / best;
        let _ = writeln!(out, "{}", row(size, variant, share, size == advice.size, style, columns));
    }
    out.push('\n');
    let mut lines = vec![(format!("answer: {}", advice.sentence), Paint::Bold)];
    if let Some([lo, hi]) = advice.throughput_ci95 {
        lines.push((
            format!(
                "95 % interval with {}: {} to {} transactions/s over the rounds; the noise, {} % when two \
                 sizes are compared, does not tell {} to {} from the best",
                advice.size,
                significant(lo, 3),
                significant(hi, 3),
                significant(advice.noise * 100.0, 2),
                advice.as_good[0],
                advice.as_good[1]
            ),
            Paint::Plain,
        ));
    }
    lines.push((curve(advice), Paint::Plain));
    let settings: Vec<_> =
        advice.settings.iter().map(|(who, what)| format!("{who}: {what}")).collect();
    lines.push((format!("settings: {}", settings.join("; ")), Paint::Plain));
    lines.push((
        "several processes share the size out among them: their pools add up to it".to_owned(),
        Paint::Dim,
    ));
    for (text, paint) in lines {
        let mut flow = Flow::new(&mut out, style, columns, 2);
        flow.words(&clean(&text), paint);
        flow.end();
    }
    out
}

fn row(
    size: u64,
    variant: &Variant,
    share: f64,
    advised: bool,
    style: Style,
    columns: usize,
) -> String {
    let Some(summary) = &variant.summary else {
        let reason = variant.reason.as_deref().unwrap_or("not measured");
        let text = format!("{} {}", pad_left(&size.to_string(), 6), clean(reason));
        return style.paint(Paint::Red, &shorten(&text, columns));
    };
    let rate = summary.throughput_per_s.median;
    let share = share * 100.0;
    let marker = if advised { "  ← advised" } else { "" };
    let text = format!(
        "{} {} {} {} {}{marker}",
        pad_left(&size.to_string(), 6),
        pad_left(&significant(rate, 4), 12),
        pad_left(&format!("{share:.0} %"), 8),
        pad_left(&significant(summary.latency_ms.p95, 3), 9),
        pad_left(&variant.trials.len().to_string(), 6)
    );
    let paint = if advised { Paint::Green } else { Paint::Plain };
    style.paint(paint, &shorten(&text, columns))
}

fn curve(advice: &PoolAdvice) -> String {
    let Some(curve) = &advice.curve else {
        return "curve: none; it takes six sizes or more, and a model that is off by 10 % at most"
            .to_owned();
    };
    let value = |name: &str| curve.parameters.get(name).map_or("?".into(), |v| significant(*v, 3));
    let error = significant(curve.relative_error * 100.0, 2);
    let text = if curve.model == "usl" {
        format!(
            "curve: universal scalability law, one connection {} transactions/s, contention {}, \
             crosstalk {}, off by {error} % on average",
            value("one"),
            value("contention"),
            value("crosstalk")
        )
    } else {
        format!(
            "curve: {} transactions/s for each connection up to a cap of {}, off by {error} % on \
             average",
            value("slope"),
            value("cap")
        )
    };
    match curve.knee {
        Some(knee) => format!("{text}; by it, more than {} give no more", significant(knee, 2)),
        None => text,
    }
}
