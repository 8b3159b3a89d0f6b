use std::ops::Range;

use crate::{Problem, Snippet};

/// The widest piece of a line that a snippet shows, in characters.
const SNIPPET_CHARS: usize = 100;

/// Turns byte ranges of a text into lines, columns and snippets.
pub(crate) struct Places<'t> {
    file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Places<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let after_newlines =
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Self { file, text, line_starts }
    }

    pub(crate) fn problem(
        &self,
        span: &Range<usize>,
        message: String,
        help: Option<String>,
    ) -> Problem {
        let start = self.to_real_line(span.start);
        let line = self.line_starts.partition_point(|s| *s <= start);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let source = self.line_at(line_start);
        let before = self.text[line_start..start].chars().count();
        // An end on a later line underlines to the end of this one.
        let end = boundary(self.text, span.end).clamp(start, line_start + source.len());
        let marked = self.text[start.min(end)..end].chars().count();
        Problem {
            file: self.file.to_owned(),
            line,
            column: before + 1,
            message,
            help,
            snippet: cut(source, before, marked.max(1)),
        }
    }

    /// A place after the last newline (something is missing at the end) is shown at the end of the
    /// last line that has something on it; a place inside `\r\n` before it.
    fn to_real_line(&self, at: usize) -> usize {
        let at = boundary(self.text, at);
        if at == self.text.len() {
            return self.text.trim_end().len();
        }
        let line = self.line_starts.partition_point(|s| *s <= at);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        at.min(line_start + self.line_at(line_start).len())
    }

    fn line_at(&self, line_start: usize) -> &'t str {
        let rest = &self.text[line_start..];
        let line = rest.split('\n').next().unwrap_or(rest);
        line.strip_suffix('\r').unwrap_or(line)
    }
}

/// The last character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// The part of a line around the marked characters.
fn cut(line: &str, before: usize, marked: usize) -> Snippet {
    let length = line.chars().count();
    let fits = length <= SNIPPET_CHARS || before + marked.min(SNIPPET_CHARS / 4) <= SNIPPET_CHARS;
    let first = if fits { 0 } else { (before - SNIPPET_CHARS / 4).min(length - SNIPPET_CHARS) };
    let mut text = String::new();
    let mut indent = before - first;
    if first > 0 {
        text.push('…');
        indent += 1;
    }
    text.extend(line.chars().skip(first).take(SNIPPET_CHARS).map(harmless));
    if length > first + SNIPPET_CHARS {
        text.push('…');
    }
    let room = text.chars().count().saturating_sub(indent).max(1);
    Snippet { text, indent, width: marked.min(room) }
}

fn harmless(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_unprintable(c) => '\u{fffd}',
        c => c,
    }
}

/// Control characters, and the invisible ones that reorder or hide text.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Part of the input inside a message: in backticks, cut, unprintable characters escaped.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::from("`");
    for c in text.chars().take(LONGEST) {
        if is_unprintable(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> String {
        Places::new("f.toml", text).problem(&span, "wrong".to_owned(), None).to_string()
    }

    #[test]
    fn the_place_is_found() {
        insta::assert_snapshot!(at("a = 1\nbé = 22\n", 7..9), @"
        f.toml:2:2: wrong
         2 | bé = 22
           |  ^
        ");
    }

    #[test]
    fn the_end_of_the_text_is_the_end_of_its_last_line() {
        insta::assert_snapshot!(at("a = 1\r\nb =\r\n\n", 13..13), @"
        f.toml:2:4: wrong
         2 | b =
           |    ^
        ");
        insta::assert_snapshot!(at("", 0..0), @"
        f.toml:1:1: wrong
         1 | 
           | ^
        ");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{} = 1", "x".repeat(500));
        insta::assert_snapshot!(at(&text, 500..503), @"
    f.toml:1:501: wrong
     1 | …xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx = 1
       |                                                                                                  ^^^
    ");
        insta::assert_snapshot!(at(&text, 0..500), @"
        f.toml:1:1: wrong
         1 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ");
    }

    #[test]
    fn a_file_cannot_drive_the_terminal() {
        assert_eq!(quote("a\u{1b}[2J\u{202e}b"), r"`a\u{1b}[2J\u{202e}b`");
        assert_eq!(cut("a\u{1b}[2J\tb", 0, 1).text, "a\u{fffd}[2J b");
    }
}
