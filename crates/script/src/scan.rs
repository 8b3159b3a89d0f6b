use crate::error::{Flaw, ScriptError};
use crate::names::{begins_name, in_name};

/// What a script consists of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Sql(RawSql),
    /// A backslash command: its name without the backslash, and the rest of its line.
    Command {
        line: u32,
        name: String,
        rest: String,
    },
}

/// A statement as it was written, with what looks like a variable told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawSql {
    /// The line that its first word is on.
    pub(crate) line: u32,
    pub(crate) pieces: Vec<Piece>,
    /// It holds several statements, joined by `\;`.
    pub(crate) joined: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// `:name`, where it was, and whether that was within quotes.
    Variable {
        name: String,
        line: u32,
        quoted: bool,
    },
}

/// Cuts a script into statements and backslash commands, as psql's scanner does: a statement ends at
/// a semicolon outside quotes, comments and brackets, at a backslash command, or at the end.
pub(crate) fn scan(file: &str, text: &str) -> Result<Vec<Part>, ScriptError> {
    let mut scanner = Scanner {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
        depth: 0,
        parts: Vec::new(),
        statement: Statement::default(),
        word: String::new(),
        adjacent: false,
    };
    while let Some(c) = scanner.rest.chars().next() {
        scanner.step(c).map_err(|(flaw, line)| flaw.at(file, line))?;
    }
    scanner.end_statement();
    Ok(scanner.parts)
}

/// The statements of a text without variables; a backslash command in it is refused.
pub fn split(file: &str, text: &str) -> Result<Vec<String>, ScriptError> {
    let parts = scan(file, text)?;
    parts
        .into_iter()
        .map(|part| match part {
            Part::Sql(raw) => Ok(raw.pieces.into_iter().map(Piece::written).collect()),
            Part::Command { line, name, .. } => {
                let flaw = Flaw::new(format!("\\{name}"), "is no SQL")
                    .instead("this file holds statements only");
                Err(flaw.at(file, line))
            }
        })
        .collect()
}

impl Piece {
    fn written(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Variable { name, .. } => format!(":{name}"),
        }
    }
}

/// A flaw and its line.
type Trouble = (Flaw, u32);

struct Scanner<'a> {
    rest: &'a str,
    line: u32,
    /// Open brackets.
    depth: usize,
    parts: Vec<Part>,
    statement: Statement,
    /// The last word, forgotten at whatever is no blank.
    word: String,
    /// Nothing stands between it and what comes.
    adjacent: bool,
}

/// The statement under way.
#[derive(Default)]
struct Statement {
    begun: Option<u32>,
    pieces: Vec<Piece>,
    text: String,
    joined: Option<u32>,
}

impl Scanner<'_> {
    fn step(&mut self, c: char) -> Result<(), Trouble> {
        let rest = self.rest;
        if rest.starts_with("--") {
            let length = rest.find('\n').unwrap_or(rest.len());
            self.comment(length);
        } else if rest.starts_with("/*") {
            let length = block_comment(rest).ok_or_else(|| self.open("/*", "a comment"))?;
            self.comment(length);
        } else if c == '\'' || c == '"' {
            let escapes = self.adjacent && self.word.eq_ignore_ascii_case("e");
            let backslashes = c == '\'' && escapes;
            let length = quoted(rest, c, backslashes).ok_or_else(|| {
                self.open(&c.to_string(), if c == '"' { "a quoted name" } else { "a text" })
            })?;
            self.quote(length);
        } else if let Some(tag) = dollar_tag(rest) {
            let end = rest[tag..].find(&rest[..tag]);
            let end = end.ok_or_else(|| self.open(&rest[..tag], "a text"))?;
            self.quote(tag + end + tag);
        } else if c == '\\' {
            self.backslash();
        } else if c == ';' && self.depth == 0 {
            self.skip(1);
            self.end_statement();
        } else if c == ':' {
            self.colon();
        } else if begins_name(c) || c.is_ascii_digit() {
            return self.word();
        } else {
            match c {
                '(' => self.depth += 1,
                ')' => self.depth = self.depth.saturating_sub(1),
                _ => (),
            }
            self.take(c.len_utf8());
        }
        Ok(())
    }

    fn open(&self, word: &str, what: &str) -> Trouble {
        (Flaw::new(word, format!("begins {what} that never ends")), self.line)
    }

    fn word(&mut self) -> Result<(), Trouble> {
        // A dollar sign may be inside a word, and then begins no quote.
        let length = self.rest.find(|c| !in_name(c) && c != '$').unwrap_or(self.rest.len());
        let word = self.rest[..length].to_owned();
        if word.eq_ignore_ascii_case("atomic") && self.word.eq_ignore_ascii_case("begin") {
            let flaw = Flaw::new("BEGIN ATOMIC", "is not supported")
                .instead("write the function's body between dollar quotes");
            return Err((flaw, self.line));
        }
        self.take(length);
        (self.word, self.adjacent) = (word, true);
        Ok(())
    }

    fn colon(&mut self) {
        if self.rest.starts_with("::") {
            return self.take(2);
        }
        let name = &self.rest[1..];
        let length = name.find(|c| !in_name(c)).unwrap_or(name.len());
        if !name.chars().next().is_some_and(begins_name) {
            return self.take(1);
        }
        let name = name[..length].to_owned();
        self.begin();
        self.statement.variable(name, self.line, false);
        self.skip(length + 1);
        self.forget();
    }

    fn backslash(&mut self) {
        if self.rest.starts_with("\\;") {
            self.statement.joined.get_or_insert(self.line);
            self.begin();
            self.statement.text.push(';');
            self.skip(2);
            return;
        }
        self.end_statement();
        let line = self.line;
        let (command, length) = command_line(self.rest);
        self.skip(length);
        let command = command.trim();
        let split = command.find(char::is_whitespace).unwrap_or(command.len());
        let (name, rest) = command.split_at(split);
        self.parts.push(Part::Command {
            line,
            name: name.to_owned(),
            rest: rest.trim().to_owned(),
        });
    }

    /// Takes a quoted piece. Variables in it are noted: by the simple protocol pgbench replaces them.
    fn quote(&mut self, length: usize) {
        self.begin();
        let quote = &self.rest[..length];
        let (mut line, mut from) = (self.line, 0);
        for (at, _) in quote.match_indices(':') {
            let name = &quote[at + 1..];
            let end = name.find(|c| !in_name(c)).unwrap_or(name.len());
            // A second colon makes a cast of it.
            let cast = quote[..at].ends_with(':');
            if at < from || cast || !name.chars().next().is_some_and(begins_name) {
                continue;
            }
            self.statement.text.push_str(&quote[from..at]);
            line += newlines(&quote[from..at]);
            self.statement.variable(name[..end].to_owned(), line, true);
            from = at + 1 + end;
        }
        self.statement.text.push_str(&quote[from..]);
        self.skip(length);
        self.forget();
    }

    /// A comment goes with its statement, but begins none.
    fn comment(&mut self, length: usize) {
        if self.statement.begun.is_some() {
            self.statement.text.push_str(&self.rest[..length]);
        }
        self.skip(length);
        self.forget();
    }

    fn take(&mut self, length: usize) {
        let piece = &self.rest[..length];
        if !piece.trim().is_empty() {
            self.begin();
        }
        if self.statement.begun.is_some() {
            self.statement.text.push_str(piece);
        }
        if piece.trim().is_empty() {
            self.adjacent = false;
        } else {
            self.forget();
        }
        self.skip(length);
    }

    fn forget(&mut self) {
        self.word.clear();
        self.adjacent = false;
    }

    fn begin(&mut self) {
        self.statement.begun.get_or_insert(self.line);
    }

    fn skip(&mut self, length: usize) {
        self.line += newlines(&self.rest[..length]);
        self.rest = &self.rest[length..];
    }

    fn end_statement(&mut self) {
        self.depth = 0;
        self.forget();
        let mut statement = std::mem::take(&mut self.statement);
        statement.flush();
        let Some(line) = statement.begun else { return };
        if let Some(Piece::Text(last)) = statement.pieces.last_mut() {
            last.truncate(last.trim_end().len());
        }
        let raw = RawSql { line, pieces: statement.pieces, joined: statement.joined };
        self.parts.push(Part::Sql(raw));
    }
}

impl Statement {
    fn variable(&mut self, name: String, line: u32, quoted: bool) {
        self.flush();
        self.pieces.push(Piece::Variable { name, line, quoted });
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// A backslash command without its backslash, and how long it is with its line's end. A backslash
/// at the end of a line goes on on the next one.
fn command_line(rest: &str) -> (String, usize) {
    let (mut command, mut length) = (String::new(), 1);
    for line in rest[1..].split_inclusive('\n') {
        length += line.len();
        let text = line.trim_end();
        match text.strip_suffix('\\') {
            Some(more) if line.ends_with('\n') => {
                command.push_str(more);
                command.push(' ');
            }
            _ => {
                command.push_str(text);
                break;
            }
        }
    }
    (command, length)
}

/// The length of a comment that may hold others; `None` when it never ends.
fn block_comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
    None
}

/// The length of a quoted piece with both its marks, doubled marks inside it passed over.
fn quoted(text: &str, mark: char, backslashes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if backslashes && c == '\\' {
            characters.next();
        } else if c == mark {
            if characters.peek().is_some_and(|(_, next)| *next == mark) {
                characters.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

/// The length of a dollar quote's mark: `$$`, `$body$`.
fn dollar_tag(text: &str) -> Option<usize> {
    let name = text.strip_prefix('$')?;
    let length = name.find(|c| !in_name(c)).unwrap_or(name.len());
    let valid = length == 0 || name.starts_with(begins_name);
    (valid && name[length..].starts_with('$')).then_some(length + 2)
}
