mod columns;
pub(crate) mod flow;

use pinchpoint_measure::{RunResult, RunStatus, VariantStatus};

use crate::climb::{Rung, rungs};
use crate::conclusions::{conclusions, expected, limited_by, schedule};
use crate::probes::probe_lines;
use crate::text::{clean, pad, shorten, width};
use columns::Columns;
pub(crate) use flow::{Flow, Paint};

/// Whether the terminal takes colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// Bold, dim, green and red by ANSI escapes.
    Ansi,
}

impl Style {
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match (self, paint) {
            (Self::Plain, _) | (_, Paint::Plain) => return text.to_owned(),
            (Self::Ansi, Paint::Bold) => 1,
            (Self::Ansi, Paint::Dim) => 2,
            (Self::Ansi, Paint::Green) => 32,
            (Self::Ansi, Paint::Red) => 31,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Longest text shown of one name, title or reason: a hostile one must not fill the screen.
const LONGEST: usize = 600;
/// A rung's name takes at most this many columns, the space behind it included.
const WIDEST_NAME: usize = 13;

/// A table under way.
struct Sheet {
    out: String,
    columns: usize,
    style: Style,
    /// Columns of the rung's name.
    name: usize,
}

/// The climb for a terminal of `width` columns (40 to 400): a line of figures for each rung, what
/// does not fit in the lines below it, and at the end what the climb says.
pub fn climb_table(result: &RunResult, width: usize, style: Style) -> String {
    let rungs = rungs(result);
    let longest = rungs.iter().map(|r| self::width(&r.name)).max().unwrap_or(0);
    let name = (longest + 1).clamp("rung ".len(), WIDEST_NAME);
    let mut sheet = Sheet { out: String::new(), columns: width.clamp(40, 400), style, name };
    sheet.status(result);
    let columns = Columns::fitting(&rungs, sheet.columns.saturating_sub(name));
    let head = format!("{}{}", pad("rung", name), columns.head());
    sheet.out.push_str(&style.paint(Paint::Bold, head.trim_end()));
    sheet.out.push('\n');
    for rung in &rungs {
        sheet.rung(rung, &columns);
    }
    let lines = conclusions(result, &rungs);
    if !lines.is_empty() {
        sheet.out.push('\n');
    }
    for line in lines {
        let mut flow = Flow::new(&mut sheet.out, style, sheet.columns, 2);
        flow.words(&shorten(&line, LONGEST), Paint::Plain);
        flow.end();
    }
    sheet.out
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
            Some(reason) if reason != word => format!("{word}: {reason}"),
            _ => word.to_owned(),
        };
        let mut flow = Flow::new(&mut self.out, self.style, self.columns, 2);
        flow.words(&shorten(&format!("run {text}"), LONGEST), Paint::Red);
        flow.end();
        self.out.push('\n');
    }

    fn rung(&mut self, rung: &Rung<'_>, columns: &Columns) {
        let name = pad(&shorten(&rung.name, self.name - 1), self.name);
        let trouble = rung.trouble().map(|t| shorten(&t, LONGEST));
        let Some(figures) = &rung.figures else {
            let pending = rung.variant.status == VariantStatus::Pending;
            let paint = if pending { Paint::Dim } else { Paint::Red };
            let mut flow = Flow::new(&mut self.out, self.style, self.columns, self.name);
            flow.start(&name, paint);
            flow.words(&trouble.unwrap_or_default(), paint);
            flow.end();
            self.line(&[(shorten(&rung.title, LONGEST), Paint::Dim)]);
            return;
        };
        let paint = match &trouble {
            Some(_) => Paint::Red,
            None if figures.errors != "0" => Paint::Red,
            None => Paint::Bold,
        };
        let line = format!("{name}{}", columns.row(figures, rung));
        self.out.push_str(&self.style.paint(paint, line.trim_end()));
        self.out.push('\n');
        if let Some(trouble) = trouble {
            self.line(&[(trouble, Paint::Red)]);
        }
        let rest = columns.rest(figures, rung);
        self.line(
            &rest.into_iter().map(|t| (shorten(&t, LONGEST), Paint::Dim)).collect::<Vec<_>>(),
        );
        self.line(&[(schedule(rung).unwrap_or_default(), Paint::Dim)]);
        let limit = limited_by(rung).map(|text| (shorten(&text, LONGEST), Paint::Dim));
        let expectation = expected(rung).map(|(text, held)| {
            let paint = match held {
                Some(true) => Paint::Green,
                Some(false) => Paint::Red,
                None => Paint::Dim,
            };
            (shorten(&text, LONGEST), paint)
        });
        self.line(&limit.into_iter().chain(expectation).collect::<Vec<_>>());
        for line in rung.variant.verdict.iter().flat_map(probe_lines) {
            self.line(&[(shorten(&line, LONGEST), Paint::Dim)]);
        }
    }

    /// Pieces below a rung, with dots between them.
    fn line(&mut self, pieces: &[(String, Paint)]) {
        let pieces: Vec<_> = pieces.iter().filter(|(text, _)| !text.is_empty()).collect();
        let mut flow = Flow::indented(&mut self.out, self.style, self.columns, self.name);
        for (i, (text, paint)) in pieces.iter().enumerate() {
            let dot = if i + 1 < pieces.len() { " ·" } else { "" };
            flow.piece(&format!("{text}{dot}"), *paint);
        }
        flow.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_table_at_60_columns() {
        insta::assert_snapshot!(climb_table(&fixture::ladder(), 60, Style::Plain));
    }

    #[test]
    fn the_table_at_80_columns() {
        insta::assert_snapshot!(climb_table(&fixture::ladder(), 80, Style::Plain));
    }

    #[test]
    fn the_table_at_120_columns() {
        insta::assert_snapshot!(climb_table(&fixture::ladder(), 120, Style::Plain));
    }

    #[test]
    fn the_table_at_200_columns() {
        insta::assert_snapshot!(climb_table(&fixture::ladder(), 200, Style::Plain));
    }

    #[test]
    fn an_interrupted_run_says_so_first() {
        insta::assert_snapshot!(climb_table(&fixture::interrupted(), 80, Style::Plain));
    }

    #[test]
    fn open_load_shows_the_response_time_and_the_backlog() {
        insta::assert_snapshot!(climb_table(&fixture::open(), 80, Style::Plain));
    }

    #[test]
    fn colour_adds_nothing_but_escapes() {
        for result in [fixture::ladder(), fixture::interrupted(), fixture::hostile()] {
            let mut stripped = climb_table(&result, 80, Style::Ansi);
            for code in ["[0m", "[1m", "[2m", "[31m", "[32m"] {
                stripped = stripped.replace(&format!("\u{1b}{code}"), "");
            }
            assert_eq!(stripped, climb_table(&result, 80, Style::Plain));
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for result in
            [fixture::ladder(), fixture::interrupted(), fixture::open(), fixture::hostile()]
        {
            for columns in [0, 40, 60, 80, 100, 106, 120, 200, 1000] {
                let table = climb_table(&result, columns, Style::Plain);
                for line in table.lines() {
                    assert!(width(line) <= columns.clamp(40, 400), "{columns}: {line:?}");
                    assert!(!line.chars().any(char::is_control), "{line:?}");
                }
            }
        }
    }
}
