//! A verdict in full, for a terminal: where the time goes, what speaks for and against it, what was
//! looked at, and what to do.

use pinchpoint_measure::{BudgetSource, RunResult, Variant, Verdict, significant};

use crate::predictions;
use crate::probes::{probe_lines, proof_words};
use crate::table::{Flow, Paint, Style};
use crate::text::{clean, fixed, pad, pad_left, percent, shorten, width};

/// Longest text shown of one finding.
const LONGEST: usize = 600;
/// Columns of a budget line's name.
const NAME: usize = 40;

/// What limited a variant, in one line: `limited by wal-flush (62 %, confidence 0.8)`.
pub fn verdict_line(verdict: &Verdict) -> String {
    let confidence = fixed(verdict.confidence, 1);
    let mut text = match (verdict.bottleneck.as_str(), &verdict.inconclusive) {
        (_, Some(why)) => return format!("inconclusive: {}", clean(why)),
        ("none", _) => format!("nothing limits at this rate (confidence {confidence})"),
        ("balanced", _) => format!("balanced: no cause stands out (confidence {confidence})"),
        ("users", _) => format!("limited by the number of users (confidence {confidence})"),
        (name, _) => {
            let share = percent(verdict.share);
            format!("limited by {} ({share}, confidence {confidence})", clean(name))
        }
    };
    text.push_str(&proof_words(verdict));
    if let Some(largest) = &verdict.where_time_goes
        && largest.bottleneck != verdict.bottleneck
        && !matches!(verdict.bottleneck.as_str(), "none" | "users")
    {
        let (name, share) = (clean(&largest.bottleneck), percent(largest.share));
        text.push_str(&format!("; time goes to {name} ({share})"));
    }
    text
}

/// The verdict on a variant in full, no wider than `columns` (40 to 400). `None` when there is no
/// variant of this name; one without figures says so.
pub fn explain(result: &RunResult, name: &str, columns: usize, style: Style) -> Option<String> {
    let variant = result.variant(name)?;
    let mut page = Page { out: String::new(), columns: columns.clamp(40, 400), style };
    let title = match variant.title.as_str() {
        "" => clean(name),
        title => format!("{}: {}", clean(name), clean(title)),
    };
    page.text(0, &title, Paint::Bold);
    match &variant.verdict {
        Some(verdict) => page.verdict(variant, verdict),
        None => page.text(2, "no verdict: it has no figures that count", Paint::Plain),
    }
    page.section("expected of it before it was run", &expected(variant));
    Some(page.out)
}

/// What was expected of a variant and what came of it, or why nothing was expected.
fn expected(variant: &Variant) -> Vec<String> {
    if let Some(reason) = &variant.unpredicted {
        return vec![format!("no prediction: {}", clean(reason))];
    }
    let Some(prediction) = &variant.prediction else { return Vec::new() };
    let [lo, hi] = prediction.range_per_s.map(|end| significant(end, 3));
    let (lever, from) = (clean(&prediction.lever), clean(&prediction.from));
    let mut range = format!("by {lever}, from {from}: {lo}–{hi}/s");
    if let Some(measured) = prediction.measured_per_s {
        let (came, outcome) = (significant(measured, 3), predictions::outcome(prediction));
        range.push_str(&format!(", measured {came}, {outcome}"));
    }
    let basis = Some(clean(&prediction.basis)).filter(|basis| !basis.is_empty());
    [Some(range), predictions::limit(variant), basis].into_iter().flatten().collect()
}

struct Page {
    out: String,
    columns: usize,
    style: Style,
}

impl Page {
    fn verdict(&mut self, variant: &Variant, verdict: &Verdict) {
        self.text(2, &verdict_line(verdict), Paint::Plain);
        if let Some([lo, hi]) = verdict.gain {
            let (lo, hi) = (significant(lo, 2), significant(hi, 2));
            self.text(2, &format!("without it throughput could be {lo} to {hi} ×"), Paint::Plain);
        }
        if let Some(other) = &verdict.runner_up {
            let (name, gain) = (clean(&other.bottleneck), significant(other.gain, 2));
            let share = percent(other.share);
            let text = format!("runner-up {name}: {share} of the time, without it up to {gain} ×");
            self.text(2, &text, Paint::Plain);
        }
        if let Some(next) = &verdict.next {
            self.text(2, &format!("then {} would limit", clean(next)), Paint::Plain);
        }
        self.budget(variant, verdict);
        self.section("speaks for it", &verdict.evidence);
        self.section("speaks against it", &verdict.against);
        self.section("probes", &probe_lines(verdict));
        let looked: Vec<String> = verdict
            .elimination
            .iter()
            .map(|e| {
                let mark = if e.limits { "limits: " } else { "" };
                format!("{mark}{}: {}", e.cause, e.finding)
            })
            .collect();
        self.section("looked at", &looked);
        self.section("arithmetic", &verdict.arithmetic.iter().cloned().collect::<Vec<_>>());
        self.section("slow ones", &verdict.slow.iter().cloned().collect::<Vec<_>>());
        self.section("what to do, the cheapest first", &verdict.advice);
    }

    /// An operation's time, line by line, and how much of it is explained.
    fn budget(&mut self, variant: &Variant, verdict: &Verdict) {
        if verdict.budget.is_empty() {
            return;
        }
        let whole = variant.summary.as_ref().map(|s| s.latency_ms.avg);
        let share = |ms: f64| whole.map_or_else(|| "–".to_owned(), |all| percent(ms / all));
        self.out.push('\n');
        let name = NAME.min(self.columns.saturating_sub(30));
        self.row(name, ["time of an operation", "ms", "±", "share"], "from", Paint::Bold);
        for line in &verdict.budget {
            let error = line.error_ms.map_or_else(String::new, |e| significant(e, 2));
            let (ms, share) = (significant(line.ms, 3), share(line.ms));
            let cells = [line.name.as_str(), &ms, &error, &share];
            self.row(name, cells, source(line.source), Paint::Plain);
        }
        let sum: f64 = verdict.budget.iter().map(|line| line.ms).sum();
        let closure = verdict.closure.map_or_else(|| "–".to_owned(), percent);
        let (ms, whole) = (significant(sum, 3), significant(whole.unwrap_or(f64::NAN), 3));
        let of = format!("of {whole} ms");
        self.row(name, ["sum", &ms, "", &closure], &of, Paint::Dim);
    }

    fn row(&mut self, name: usize, cells: [&str; 4], from: &str, paint: Paint) {
        let [what, ms, error, share] = cells;
        let what = pad(&shorten(&clean(what), name), name);
        let mut line = format!("  {what}{}", pad_left(ms, 9));
        if self.columns >= 70 {
            line.push_str(&pad_left(error, 9));
        }
        line.push_str(&pad_left(share, 8));
        if width(&line) + 2 + width(from) <= self.columns {
            line.push_str(&format!("  {from}"));
        }
        let line = shorten(line.trim_end(), self.columns);
        self.out.push_str(&self.style.paint(paint, &line));
        self.out.push('\n');
    }

    fn section(&mut self, heading: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        self.out.push('\n');
        self.text(2, heading, Paint::Bold);
        for text in texts {
            self.text(4, text, Paint::Plain);
        }
    }

    fn text(&mut self, indent: usize, text: &str, paint: Paint) {
        let mut flow = Flow::new(&mut self.out, self.style, self.columns, indent + 2);
        flow.start(&" ".repeat(indent), Paint::Plain);
        flow.words(&shorten(&clean(text), LONGEST), paint);
        flow.end();
    }
}

/// Where a figure comes from, for people.
pub(crate) fn source(source: BudgetSource) -> &'static str {
    match source {
        BudgetSource::Clock => "our clock",
        BudgetSource::Samples => "samples",
        BudgetSource::Counters => "counters",
        BudgetSource::Rest => "the rest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_verdict_at_80_columns() {
        let text = explain(&fixture::ladder(), "1", 80, Style::Plain);
        insta::assert_snapshot!(text.unwrap());
    }

    #[test]
    fn a_verdict_at_120_columns() {
        let text = explain(&fixture::ladder(), "1", 120, Style::Plain);
        insta::assert_snapshot!(text.unwrap());
    }

    #[test]
    fn a_variant_without_a_verdict_says_so_and_an_unknown_one_is_none() {
        let text = explain(&fixture::interrupted(), "3-A", 80, Style::Plain).unwrap();
        assert!(text.contains("no verdict"), "{text}");
        assert_eq!(explain(&fixture::ladder(), "9", 80, Style::Plain), None);
    }

    #[test]
    fn what_was_expected_is_held_against_what_came() {
        let mut result = fixture::ladder();
        let page = |result: &RunResult| explain(result, "2", 120, Style::Plain).unwrap();
        assert!(page(&result).contains("by pool, from 1: 1,734–3,600/s, measured 6,707, missed"));
        let prediction = result.variants[2].prediction.as_mut().unwrap();
        prediction.limit = Some("server-cpu".to_owned());
        assert!(page(&result).contains("expected server-cpu to limit\n"), "{}", page(&result));
        result.variants[2].verdict =
            Some(Verdict { bottleneck: "wal-flush".to_owned(), ..Verdict::default() });
        assert!(page(&result).contains("expected server-cpu to limit, found wal-flush"));
        let lines = predictions::lines(&result).join("\n");
        assert!(lines.contains("What then limits was foreseen in 0 of 1."), "{lines}");
        result.variants[2].prediction = None;
        result.variants[2].unpredicted = Some("the load follows a schedule".to_owned());
        assert!(page(&result).contains("no prediction: the load follows a schedule"));
    }

    #[test]
    fn verdicts_that_name_no_cause_read_as_sentences() {
        let line = |name: &str| {
            verdict_line(&Verdict {
                bottleneck: name.to_owned(),
                confidence: 0.5,
                ..Verdict::default()
            })
        };
        assert_eq!(line("none"), "nothing limits at this rate (confidence 0.5)");
        assert_eq!(line("users"), "limited by the number of users (confidence 0.5)");
        assert_eq!(line("balanced"), "balanced: no cause stands out (confidence 0.5)");
        let why = "other processes took 40 % of the machine's CPU".to_owned();
        let void = Verdict { inconclusive: Some(why.clone()), ..Verdict::default() };
        assert_eq!(verdict_line(&void), format!("inconclusive: {why}"));
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_whatever_the_texts() {
        for result in [fixture::ladder(), fixture::hostile()] {
            for variant in &result.variants {
                for columns in [0, 40, 60, 80, 120, 1000] {
                    let text = explain(&result, &variant.name, columns, Style::Plain).unwrap();
                    for line in text.lines() {
                        assert!(width(line) <= columns.clamp(40, 400), "{columns}: {line:?}");
                        assert!(!line.chars().any(char::is_control), "{line:?}");
                    }
                }
            }
        }
    }
}
