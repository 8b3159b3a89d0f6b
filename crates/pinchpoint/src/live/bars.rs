use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pinchpoint_measure::{Event, Sink};

use super::state::State;
use super::{ProgressLines, error_width};

/// Draws the state's lines in place; `indicatif` does the redrawing and limits its rate.
pub(super) struct Bars {
    state: State,
    screen: MultiProgress,
    lines: Vec<ProgressBar>,
    progress: Option<ProgressLines>,
}

impl Bars {
    pub(super) fn new(progress: Option<ProgressLines>) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(8);
        Self {
            state: State::default(),
            screen: MultiProgress::with_draw_target(target),
            lines: Vec::new(),
            progress,
        }
    }
}

impl Sink for Bars {
    fn event(&mut self, event: &Event) {
        if let Event::Warning { text } = event {
            let _ = self.screen.println(format!("warning: {text}"));
        }
        if let Some(line) = self.progress.as_mut().and_then(|progress| progress.line(event)) {
            let _ = self.screen.println(line);
        }
        self.state.apply(event);
        if matches!(event, Event::RunEnded { .. }) {
            let _ = self.screen.clear();
            return;
        }
        for (i, text) in self.state.lines(error_width()).into_iter().enumerate() {
            if i == self.lines.len() {
                let style = ProgressStyle::with_template("{msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                let line = ProgressBar::new_spinner().with_style(style);
                self.lines.push(self.screen.add(line));
            }
            self.lines[i].set_message(text);
        }
    }
}
