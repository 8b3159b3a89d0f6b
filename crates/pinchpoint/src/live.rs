//! What a run shows while it goes on: all of it from the events.

mod bars;
mod lines;
mod progress;
mod state;

use std::io;

use pinchpoint_measure::{Event, Sink};

use crate::terminal;

pub(crate) use progress::ProgressLines;

/// The live view of a terminal: a line a rung, redrawn in place.
pub(crate) fn bars(progress: Option<ProgressLines>) -> impl Sink {
    bars::Bars::new(progress)
}

/// Plain lines, for a log or a pipe.
pub(crate) fn lines(progress: Option<ProgressLines>) -> impl Sink {
    lines::Lines::new(|line: &str| terminal::eprint(&format!("{line}\n")), progress)
}

/// Shows nothing.
pub(crate) struct Quiet;

impl Sink for Quiet {
    fn event(&mut self, _event: &Event) {}
}

/// Width of the terminal on standard error, for lines that must not wrap.
fn error_width() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(100, |(w, _)| usize::from(w.0)).max(40)
}
