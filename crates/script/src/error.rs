use std::borrow::Cow;
use std::fmt;

/// Why a script cannot be run: where, at which word, and what could stand there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The script, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The word that is not understood; empty at the end of a text.
    pub word: String,
    /// What is wrong with it.
    pub problem: String,
    /// What is supported instead.
    pub instead: Option<String>,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: ", self.file, self.line)?;
        if self.word.is_empty() {
            f.write_str(&self.problem)?;
        } else {
            // A hostile word must not fill the screen or steer the terminal.
            f.write_str("`")?;
            for c in self.word.chars().take(60) {
                if c.is_control() { write!(f, "{}", c.escape_debug())? } else { write!(f, "{c}")? }
            }
            write!(f, "` {}", self.problem)?;
        }
        match &self.instead {
            Some(instead) => write!(f, "; {instead}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ScriptError {}

/// What is wrong with a piece of a script, before it is known where that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) word: String,
    pub(crate) problem: String,
    pub(crate) instead: Option<String>,
}

impl Flaw {
    pub(crate) fn new(word: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { word: word.into(), problem: problem.into(), instead: None }
    }

    pub(crate) fn instead(self, text: impl Into<String>) -> Self {
        Self { instead: Some(text.into()), ..self }
    }

    pub(crate) fn at(self, file: &str, line: u32) -> ScriptError {
        let Self { word, problem, instead } = self;
        ScriptError { file: file.to_owned(), line, word, problem, instead }
    }
}

/// Why an expression has no value: the operation that needs it fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub(crate) Cow<'static, str>);

impl EvalError {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}
