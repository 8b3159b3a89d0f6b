use crate::climb::{Figures, Rung};
use crate::text::{pad, pad_left, width};

/// A figure that is a column where there is room, and part of the lines below where there is none.
struct Column {
    heading: &'static str,
    /// Least width, the gap before it included.
    width: usize,
    text: bool,
    cell: fn(&Figures, &Rung<'_>) -> String,
    /// The same as part of a sentence.
    piece: fn(&Figures, &Rung<'_>) -> String,
}

const fn number(
    heading: &'static str,
    width: usize,
    cell: fn(&Figures, &Rung<'_>) -> String,
    piece: fn(&Figures, &Rung<'_>) -> String,
) -> Column {
    Column { heading, width, text: false, cell, piece }
}

const fn text(heading: &'static str, cell: fn(&Figures, &Rung<'_>) -> String) -> Column {
    Column { heading, width: 0, text: true, cell, piece: cell }
}

/// By their order of importance: the last are the first to leave the line.
const COLUMNS: [Column; 11] = [
    number("rows/s", 11, |f, _| f.tps_text.clone(), |f, _| format!("{} rows/s", f.tps_text)),
    number("95 % interval", 21, |f, _| f.interval.clone(), |f, _| f.interval.clone()),
    number("× before", 9, |_, r| r.ratio(), |_, r| format!("{} the rung before", r.ratio())),
    number("p50 ms", 8, |f, _| f.p50.clone(), |f, _| format!("p50 {} ms", f.p50)),
    number("p95 ms", 8, |f, _| f.p95.clone(), |f, _| format!("p95 {} ms", f.p95)),
    number("p99 ms", 8, |f, _| f.p99.clone(), |f, _| format!("p99 {} ms", f.p99)),
    number("errors", 8, |f, _| f.errors.clone(), |f, _| format!("{} errors", f.errors)),
    number("ms a row", 10, |f, _| f.per_row.clone(), |f, _| format!("{} ms a row", f.per_row)),
    number(
        "client µs a row",
        17,
        |f, _| f.cpu_per_row.clone(),
        |f, _| format!("client {} µs a row", f.cpu_per_row),
    ),
    text("what changed", |_, r| r.title.clone()),
    text("where the time went", |f, _| f.where_time_went.clone()),
];

/// The columns that a terminal has room for, each as wide as its widest cell.
pub(super) struct Columns {
    shown: Vec<(&'static Column, usize)>,
    left_out: Vec<&'static Column>,
}

impl Columns {
    /// Those that fit into `room` columns beside the rungs' names.
    pub(super) fn fitting(rungs: &[Rung<'_>], room: usize) -> Self {
        let (mut left, mut shown, mut left_out) = (room, Vec::new(), Vec::new());
        for column in &COLUMNS {
            let cells = rungs.iter().filter_map(|r| Some((column.cell)(r.figures.as_ref()?, r)));
            let widest = cells.map(|c| width(&c)).max().unwrap_or(0);
            let needed = column.width.max(widest.max(width(column.heading)) + 2);
            if needed <= left {
                left -= needed;
                shown.push((column, needed));
            } else {
                left_out.push(column);
            }
        }
        Self { shown, left_out }
    }

    pub(super) fn head(&self) -> String {
        self.line(|column| column.heading.to_owned())
    }

    pub(super) fn row(&self, figures: &Figures, rung: &Rung<'_>) -> String {
        self.line(|column| (column.cell)(figures, rung))
    }

    fn line(&self, cell: impl Fn(&Column) -> String) -> String {
        let mut line = String::new();
        for (column, width) in &self.shown {
            let cell = cell(column);
            if column.text {
                line.push_str("  ");
                line.push_str(&pad(&cell, width - 2));
            } else {
                line.push_str(&pad_left(&cell, *width));
            }
        }
        line
    }

    /// What did not fit: the texts, then the figures.
    pub(super) fn rest(&self, figures: &Figures, rung: &Rung<'_>) -> Vec<String> {
        let texts = self.left_out.iter().filter(|c| c.text);
        let numbers = self.left_out.iter().filter(|c| !c.text);
        texts.chain(numbers).map(|c| (c.piece)(figures, rung)).filter(|s| !s.is_empty()).collect()
    }
}
