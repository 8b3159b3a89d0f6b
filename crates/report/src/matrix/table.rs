use pinchpoint_measure::{RunResult, RunStatus, VariantStatus, significant};

use crate::explain::verdict_line;
use crate::matrix::before_after;
use crate::matrix::rows::{Row, cases, ratios, rows};
use crate::matrix::thresholds::thresholds;
use crate::predictions;
use crate::probes::probe_lines;
use crate::table::{Flow, Paint, Style};
use crate::text::{clean, pad, shorten, width};

/// Longest text shown of one reason: a hostile one must not fill the screen.
const LONGEST: usize = 300;
/// A framework's name takes at most this many columns.
const WIDEST: usize = 22;

/// The cases for a terminal of `columns` columns (40 to 400): a line of figures for each, what voids
/// it below, then what the pooler changed and the waterfalls.
pub(crate) fn matrix_table(result: &RunResult, columns: usize, style: Style) -> String {
    let rows = rows(result);
    let mut sheet = Sheet {
        out: String::new(),
        columns: columns.clamp(40, 400),
        style,
        name: rows
            .iter()
            .map(|r| width(&r.framework))
            .max()
            .unwrap_or(0)
            .clamp("framework".len(), WIDEST),
    };
    sheet.status(result);
    let variants =
        !before_after::lines(&rows).is_empty() || !before_after::connection_lines(&rows).is_empty();
    sheet.head(if variants { "variant" } else { "framework" });
    let mut last = String::new();
    for row in cases(&rows) {
        let name = if row.framework == last { String::new() } else { row.framework.clone() };
        last.clone_from(&row.framework);
        sheet.row(row, &name);
    }
    sheet.before_after(&rows);
    sheet.ratios(&rows);
    sheet.waterfalls(&rows);
    sheet.knees(result);
    let thresholds = thresholds(result);
    if !thresholds.is_empty() {
        sheet.out.push('\n');
    }
    for threshold in thresholds {
        let paint = if threshold.is_kept() { Paint::Plain } else { Paint::Red };
        sheet.words(&threshold.line(), paint, 2);
    }
    let lines = predictions::lines(result);
    if !lines.is_empty() {
        sheet.out.push('\n');
    }
    for line in lines {
        sheet.words(&line, Paint::Plain, 2);
    }
    sheet.out
}

struct Sheet {
    out: String,
    columns: usize,
    style: Style,
    name: usize,
}

impl Sheet {
    /// A run that did not complete says so first.
    fn status(&mut self, result: &RunResult) {
        let word = match result.status {
            RunStatus::Complete => return,
            RunStatus::Running => "not ended",
            RunStatus::Interrupted => "interrupted",
            RunStatus::Failed => "failed",
        };
        let text = match result.reason.as_deref().map(clean) {
            Some(reason) if reason != word => format!("run {word}: {reason}"),
            _ => format!("run {word}"),
        };
        self.words(&text, Paint::Red, 2);
        self.out.push('\n');
    }

    /// Whether there is room for what limited a case, which goes before the median.
    const fn shows_limit(&self) -> bool {
        self.columns >= self.name + 67
    }

    /// Whether there is room for the median as well.
    const fn shows_median(&self) -> bool {
        let needed = if self.shows_limit() { 75 } else { 57 };
        self.columns >= self.name + needed
    }

    fn head(&mut self, first: &str) {
        let mut line = format!("{} {} users", pad(first, self.name), pad("mode", 9));
        line.push_str("      RPS");
        if self.shows_median() {
            line.push_str("  p50 ms");
        }
        line.push_str("  p95 ms  p99 ms  errors");
        if self.shows_limit() {
            line.push_str("  limited by");
        }
        let line = shorten(&line, self.columns);
        self.out.push_str(&self.style.paint(Paint::Bold, &line));
        self.out.push('\n');
    }

    fn row(&mut self, row: &Row<'_>, name: &str) {
        let head = format!(
            "{} {} {:>5}",
            pad(&shorten(name, self.name), self.name),
            pad(&shorten(&row.mode, 9), 9),
            row.users
        );
        let trouble = row.trouble();
        let Some(figures) = &row.figures else {
            let pending = row.variant.status == VariantStatus::Pending;
            let paint = if pending { Paint::Dim } else { Paint::Red };
            let indent = self.name + 1;
            let mut flow = Flow::new(&mut self.out, self.style, self.columns, indent);
            flow.start(&format!("{head}  "), paint);
            flow.words(&shorten(&trouble.unwrap_or_default(), LONGEST), paint);
            flow.end();
            return;
        };
        let ms = |value: f64| format!("{:>8}", significant(value, 3));
        let mut line = format!("{head}{:>9}", significant(figures.rps.value, 3));
        if self.shows_median() {
            line.push_str(&ms(figures.latency_ms.p50));
        }
        line.push_str(&ms(figures.latency_ms.p95));
        line.push_str(&ms(figures.latency_ms.p99));
        line.push_str(&format!("{:>8}", percent(figures.error_rate)));
        if self.shows_limit() {
            line.push_str(&format!("  {}", row.limited_by()));
        }
        let bad = trouble.is_some() || figures.error_rate > 0.0;
        let paint = if bad { Paint::Red } else { Paint::Plain };
        self.out
            .push_str(&self.style.paint(paint, shorten(line.trim_end(), self.columns).as_ref()));
        self.out.push('\n');
        if let Some(trouble) = trouble {
            let indent = self.name + 1;
            let mut flow = Flow::indented(&mut self.out, self.style, self.columns, indent);
            flow.words(&shorten(&trouble, LONGEST), Paint::Red);
            flow.end();
        }
        self.proof(row);
    }

    /// What became of the verdict when its demands were made larger.
    fn proof(&mut self, row: &Row<'_>) {
        let proven = row.variant.verdict.as_ref().filter(|verdict| verdict.proof.is_some());
        let Some(verdict) = proven else { return };
        for line in std::iter::once(verdict_line(verdict)).chain(probe_lines(verdict)) {
            let indent = self.name + 1;
            let mut flow = Flow::indented(&mut self.out, self.style, self.columns, indent);
            flow.words(&shorten(&line, LONGEST), Paint::Dim);
            flow.end();
        }
    }

    /// What a cache did, and connections between services.
    fn before_after(&mut self, rows: &[Row<'_>]) {
        let head = ["× first", "hits", "memory", "calls/s", "tx/s", "conns"];
        let lines = before_after::lines(rows);
        self.columns_of("cache", &head, &lines, &[3, 5, 6, 7, 8, 9]);
        let head = ["opened/1,000", "connect ms", "app µs", "beside µs"];
        let lines = before_after::connection_lines(rows);
        self.columns_of("connections", &head, &lines, &[5, 6, 8, 9]);
    }

    /// Names and users, and of each line the cells at these places.
    fn columns_of(&mut self, title: &str, head: &[&str], lines: &[Vec<String>], places: &[usize]) {
        if lines.is_empty() {
            return;
        }
        self.out.push('\n');
        let mut line = format!("{} users", pad(title, self.name));
        for name in head {
            line.push_str(&format!("{name:>0$}", width(name).max(6) + 2));
        }
        let line = shorten(&line, self.columns);
        self.out.push_str(&self.style.paint(Paint::Bold, &line));
        self.out.push('\n');
        for cells in lines {
            let cell = |at: usize| cells.get(at).map(String::as_str).unwrap_or_default();
            let name = pad(&shorten(cell(0), self.name), self.name);
            let mut line = format!("{name} {:>5}", cell(1));
            for (name, at) in head.iter().zip(places) {
                line.push_str(&format!("{:>1$}", cell(*at), width(name).max(6) + 2));
            }
            self.out.push_str(&shorten(&line, self.columns));
            self.out.push('\n');
        }
    }

    /// What the pooler changed: one line for each framework.
    fn ratios(&mut self, rows: &[Row<'_>]) {
        let ratios = ratios(rows);
        if ratios.is_empty() {
            return;
        }
        self.out.push('\n');
        self.words("PgBouncer ÷ direct, in requests/s:", Paint::Bold, 2);
        let mut frameworks: Vec<&str> = ratios.iter().map(|r| r.framework.as_str()).collect();
        frameworks.dedup();
        for framework in frameworks {
            let parts: Vec<_> = ratios
                .iter()
                .filter(|r| r.framework == framework)
                .map(|r| format!("{} users {}×", r.users, significant(r.value(), 2)))
                .collect();
            let mut flow = Flow::new(&mut self.out, self.style, self.columns, self.name + 1);
            flow.start(&pad(&shorten(framework, self.name), self.name + 1), Paint::Plain);
            flow.words(&parts.join(", "), Paint::Plain);
            flow.end();
        }
    }

    fn waterfalls(&mut self, rows: &[Row<'_>]) {
        let mut last: Option<(&str, f64)> = None;
        for row in rows {
            let Some((app, number)) = &row.step else { continue };
            if last.is_none_or(|(name, _)| name != app) {
                self.out.push('\n');
                let title =
                    format!("{}, one setting at a time, {} users:", row.framework, row.users);
                self.words(&title, Paint::Bold, 2);
                last = Some((app, 0.0));
            }
            let rps = row.figures.as_ref().map(|f| f.rps.value);
            let mut line = format!("{number}. {}: ", clean(&row.variant.title));
            match (rps, row.trouble()) {
                (_, Some(trouble)) => line.push_str(&shorten(&trouble, LONGEST)),
                (Some(rps), None) => {
                    line.push_str(&format!("{} requests/s", significant(rps, 3)));
                    if let Some((_, before)) = last.filter(|(_, before)| *before > 0.0) {
                        line.push_str(&format!(
                            ", {}× the step before",
                            significant(rps / before, 2)
                        ));
                    }
                }
                (None, None) => line.push_str("no figures"),
            }
            if let Some(rps) = rps {
                last = Some((app, rps));
            }
            self.words(&line, Paint::Plain, 5);
            self.proof(row);
        }
    }

    fn knees(&mut self, result: &RunResult) {
        if result.knees.is_empty() {
            return;
        }
        self.out.push('\n');
        self.words("Where more users gave no more requests/s:", Paint::Bold, 2);
        for knee in &result.knees {
            let line = format!(
                "{} {}: {} users, {} requests/s ({})",
                clean(&knee.app),
                clean(&knee.connection),
                knee.users,
                significant(knee.throughput_per_s, 3),
                clean(&knee.detail)
            );
            self.words(&line, Paint::Plain, 5);
        }
    }

    fn words(&mut self, text: &str, paint: Paint, indent: usize) {
        let mut flow = Flow::new(&mut self.out, self.style, self.columns, indent);
        flow.words(&shorten(text, LONGEST), paint);
        flow.end();
    }
}

/// A share as people read it; a small one is not nothing.
pub(crate) fn percent(share: f64) -> String {
    match share {
        s if s <= 0.0 => "0 %".to_owned(),
        s if s < 0.001 => "<0.1 %".to_owned(),
        s => format!("{:.1} %", s * 100.0),
    }
}
