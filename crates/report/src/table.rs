use std::fmt::Write as _;

use pinchpoint_measure::{RunResult, RunStatus};

use crate::climb::{Figures, Rung, conclusions, rungs, verdict_line};
use crate::text::{clean, shorten};

/// Whether the terminal takes colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// Bold, dim and red by ANSI escapes.
    Ansi,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn red(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// A column: heading, width, and its cell.
struct Column {
    heading: &'static str,
    width: usize,
    cell: fn(&Figures, &Rung<'_>) -> String,
}

const COLUMNS: [Column; 7] = [
    Column { heading: "rows/s", width: 11, cell: |f, _| f.tps_text.clone() },
    Column { heading: "95 % interval", width: 21, cell: |f, _| f.interval.clone() },
    Column { heading: "× before", width: 9, cell: |_, r| r.ratio() },
    Column { heading: "p50 ms", width: 8, cell: |f, _| f.p50.clone() },
    Column { heading: "p95 ms", width: 8, cell: |f, _| f.p95.clone() },
    Column { heading: "p99 ms", width: 8, cell: |f, _| f.p99.clone() },
    Column { heading: "errors", width: 8, cell: |f, _| f.errors.clone() },
];

/// Shown as columns where there is room, in the line below where there is none.
const EXTRA: [Column; 2] = [
    Column { heading: "ms a row", width: 10, cell: |f, _| f.per_row.clone() },
    Column { heading: "client µs a row", width: 17, cell: |f, _| f.cpu_per_row.clone() },
];

const NAME: usize = 5;
/// From this width on the extra columns fit.
const WIDE: usize = 106;

/// The climb for a terminal of `width` columns: two or more lines a rung, then what it says.
pub fn climb_table(result: &RunResult, width: usize, style: Style) -> String {
    let width = width.clamp(40, 400);
    let rungs = rungs(result);
    let columns: Vec<&Column> = fitting(width);
    let mut out = String::new();
    match result.status {
        RunStatus::Complete => (),
        status => {
            let word = format!("{status:?}").to_lowercase();
            let reason = result.reason.as_deref().map(clean).unwrap_or_default();
            wrap(&mut out, &[format!("{word}: {reason}")], 0, width, |t| style.red(t));
            out.push('\n');
        }
    }
    let mut head = format!("{:<NAME$}", "rung");
    for column in &columns {
        let _ = write!(head, "{:>1$}", column.heading, column.width);
    }
    let _ = writeln!(out, "{}", style.bold(head.trim_end()));
    for rung in &rungs {
        row(&mut out, rung, &columns, width, style);
    }
    let lines = conclusions(result, &rungs);
    if !lines.is_empty() {
        out.push('\n');
    }
    for line in lines {
        wrap(&mut out, &words(&line), 0, width, str::to_owned);
    }
    out
}

/// The columns that fit, by their order of importance.
fn fitting(width: usize) -> Vec<&'static Column> {
    let mut left = width.saturating_sub(NAME);
    let extra: &[Column] = if width >= WIDE { &EXTRA } else { &[] };
    COLUMNS
        .iter()
        .chain(extra)
        .take_while(|column| {
            let fits = column.width <= left;
            left = left.saturating_sub(column.width);
            fits
        })
        .collect()
}

fn row(out: &mut String, rung: &Rung<'_>, columns: &[&Column], width: usize, style: Style) {
    let name = shorten(&rung.name, NAME.max(6));
    let Some(figures) = &rung.figures else {
        let text = format!("{name:<NAME$} {}", rung.absence());
        wrap(out, &words(&text), NAME + 1, width, |t| style.red(t));
        wrap(out, std::slice::from_ref(&rung.title), NAME, width, |t| style.dim(t));
        return;
    };
    let mut line = format!("{name:<NAME$}");
    for column in columns {
        let _ = write!(line, "{:>1$}", (column.cell)(figures, rung), column.width);
    }
    let failed = rung.variant.reason.is_some() || figures.errors != "0";
    let line = shorten(line.trim_end(), width);
    let _ = writeln!(out, "{}", if failed { style.red(&line) } else { style.bold(&line) });
    let mut segments = vec![rung.title.clone(), figures.where_time_went.clone()];
    if width < WIDE {
        segments.push(format!("{} ms a row", figures.per_row));
        segments.push(format!("client {} µs a row", figures.cpu_per_row));
    }
    segments.retain(|s| !s.is_empty());
    let last = segments.len().saturating_sub(1);
    for segment in &mut segments[..last] {
        segment.push_str(" ·");
    }
    wrap(out, &segments, NAME, width, |t| style.dim(t));
    if let Some(verdict) = verdict_line(rung) {
        wrap(out, &words(&verdict), NAME, width, |t| style.dim(t));
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Sets pieces one after the other, and begins a new line where one does not fit.
fn wrap(
    out: &mut String,
    pieces: &[String],
    indent: usize,
    width: usize,
    paint: impl Fn(&str) -> String,
) {
    let room = width.saturating_sub(indent).max(10);
    let mut line = String::new();
    let flush = |line: &mut String, out: &mut String| {
        if !line.is_empty() {
            let _ = writeln!(out, "{:indent$}{}", "", paint(line));
            line.clear();
        }
    };
    for piece in pieces {
        let piece = shorten(piece, room);
        let needed = line.chars().count() + usize::from(!line.is_empty()) + piece.chars().count();
        if needed > room {
            flush(&mut line, out);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&piece);
    }
    flush(&mut line, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_table_at_80_columns() {
        insta::assert_snapshot!(climb_table(&fixture::ladder(), 80, Style::Plain));
    }

    #[test]
    fn the_table_at_120_columns() {
        insta::assert_snapshot!(climb_table(&fixture::ladder(), 120, Style::Plain));
    }

    #[test]
    fn an_interrupted_run_says_so_first() {
        insta::assert_snapshot!(climb_table(&fixture::interrupted(), 80, Style::Plain));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for result in [fixture::ladder(), fixture::interrupted(), fixture::hostile()] {
            for width in [40, 60, 80, 100, 106, 120, 200] {
                let table = climb_table(&result, width, Style::Plain);
                for line in table.lines() {
                    assert!(line.chars().count() <= width, "{width}: {line:?}");
                    assert!(!line.chars().any(char::is_control), "{line:?}");
                }
            }
        }
    }
}
