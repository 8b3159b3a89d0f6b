use std::fmt::Write as _;

use super::Style;
use crate::text::{shorten, width};

/// How a piece of text is set off, where the terminal can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Bold,
    Dim,
    Green,
    Red,
}

/// Sets words one after the other, and begins a new line where one does not fit: the terminal never
/// has to break a line itself.
pub(crate) struct Flow<'a> {
    out: &'a mut String,
    style: Style,
    columns: usize,
    /// Of the lines after the first.
    indent: usize,
    line: Vec<(Paint, String)>,
    used: usize,
    /// No word is on the line yet.
    fresh: bool,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(out: &'a mut String, style: Style, columns: usize, indent: usize) -> Self {
        Self { out, style, columns, indent, line: Vec::new(), used: 0, fresh: true }
    }

    /// The same, with the first line indented as well.
    pub(crate) fn indented(
        out: &'a mut String,
        style: Style,
        columns: usize,
        indent: usize,
    ) -> Self {
        let mut flow = Self::new(out, style, columns, indent);
        flow.used = indent;
        flow.line.push((Paint::Plain, " ".repeat(indent)));
        flow
    }

    /// What the first line begins with.
    pub(crate) fn start(&mut self, text: &str, paint: Paint) {
        self.used = width(text);
        self.line.push((paint, text.to_owned()));
    }

    /// A piece that is kept together where a line has room for it.
    pub(crate) fn piece(&mut self, text: &str, paint: Paint) {
        if width(text) <= self.columns.saturating_sub(self.indent) {
            self.word(text, paint);
        } else {
            self.words(text, paint);
        }
    }

    /// A text that may be broken at its spaces.
    pub(crate) fn words(&mut self, text: &str, paint: Paint) {
        text.split_whitespace().for_each(|word| self.word(word, paint));
    }

    fn word(&mut self, word: &str, paint: Paint) {
        let fresh = std::mem::replace(&mut self.fresh, false);
        let space = usize::from(!fresh);
        if !fresh && self.used + space + width(word) > self.columns {
            self.end_line();
            self.used = self.indent;
            self.line.push((Paint::Plain, " ".repeat(self.indent)));
            self.fresh = true;
            return self.word(word, paint);
        }
        let word = shorten(word, self.columns.saturating_sub(self.used + space));
        self.used += space + width(&word);
        match self.line.last_mut() {
            Some((last, text)) if *last == paint && !fresh => {
                text.push(' ');
                text.push_str(&word);
            }
            _ => {
                if !fresh {
                    self.line.push((Paint::Plain, " ".to_owned()));
                }
                self.line.push((paint, word));
            }
        }
    }

    fn end_line(&mut self) {
        for (paint, text) in self.line.drain(..) {
            let _ = self.out.write_str(&self.style.paint(paint, &text));
        }
        self.out.push('\n');
    }

    /// Ends the text and its line.
    pub(crate) fn end(mut self) {
        if !self.fresh {
            self.end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_with_a_hanging_indent_and_pieces_stay_whole() {
        let mut out = String::new();
        let mut flow = Flow::new(&mut out, Style::Plain, 16, 4);
        flow.start("2-B ", Paint::Plain);
        flow.words("fifty at once", Paint::Dim);
        flow.piece("commit 79 %", Paint::Dim);
        flow.words("averyveryverylongwordindeed", Paint::Dim);
        flow.end();
        assert_eq!(out, "2-B fifty at\n    once\n    commit 79 %\n    averyveryve…\n");
    }

    #[test]
    fn paint_is_around_text_only() {
        let mut out = String::new();
        let mut flow = Flow::indented(&mut out, Style::Ansi, 40, 2);
        flow.words("so far", Paint::Dim);
        flow.words("held", Paint::Green);
        flow.end();
        assert_eq!(out, "  \u{1b}[2mso far\u{1b}[0m \u{1b}[32mheld\u{1b}[0m\n");
    }
}
