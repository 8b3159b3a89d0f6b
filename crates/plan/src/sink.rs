use std::cell::RefCell;
use std::ops::Range;

use crate::place::Places;
use crate::{Problem, Problems};

/// More problems than this are counted, not shown.
const SHOWN: usize = 50;

/// Collects what is wrong while a file is read, so that all of it is told at once.
#[derive(Default)]
pub(crate) struct Sink {
    raw: RefCell<Vec<Raw>>,
}

struct Raw {
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Sink {
    pub(crate) fn report(&self, span: &Range<usize>, message: impl Into<String>) {
        self.push(span, message.into(), None);
    }

    pub(crate) fn report_with(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(span, message.into(), Some(help.into()));
    }

    fn push(&self, span: &Range<usize>, message: String, help: Option<String>) {
        self.raw.borrow_mut().push(Raw { span: span.clone(), message, help });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.raw.borrow().is_empty()
    }

    /// The problems in the text's order, each once.
    pub(crate) fn into_problems(self, file: &str, text: &str) -> Problems {
        let mut raw = self.raw.into_inner();
        raw.sort_by_key(|r| r.span.start);
        raw.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        let places = Places::new(file, text);
        let hidden = raw.split_off(raw.len().min(SHOWN));
        let mut problems: Vec<Problem> =
            raw.into_iter().map(|r| places.problem(&r.span, r.message, r.help)).collect();
        if let Some(first) = hidden.first() {
            let message = format!("and {} more problems from here on", hidden.len());
            problems.push(places.problem(&first.span, message, None));
        }
        Problems(problems)
    }
}
