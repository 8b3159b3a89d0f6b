use std::error::Error;
use std::fmt;

/// Everything that is wrong with an experiment file, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(
    /// Never empty when [`crate::parse`] returned it.
    pub Vec<Problem>,
);

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1; one past the line's last character when something is missing there.
    pub column: usize,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line it is on.
    pub snippet: Snippet,
}

/// A line of the file, cut to a readable width, and what to underline in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The line; control characters are replaced, so that a file cannot drive the terminal.
    pub text: String,
    /// Characters of `text` before the underlined ones.
    pub indent: usize,
    /// Underlined characters; at least 1.
    pub width: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, help, snippet } = self;
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, " {number} | {}", snippet.text)?;
        let carets = "^".repeat(snippet.width);
        writeln!(f, " {gutter} | {}{carets}", " ".repeat(snippet.indent))?;
        if let Some(help) = help {
            writeln!(f, " {gutter} help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl Error for Problem {}
impl Error for Problems {}
