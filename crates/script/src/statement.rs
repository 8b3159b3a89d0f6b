use crate::Value;

/// A statement of a script, ready for each of the three protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its place among all statements of the program, from 0.
    pub index: usize,
    /// The line that its first word is on.
    pub line: u32,
    /// As it was written, in one line.
    pub shown: String,
    /// With `$1`, `$2`, … for variables, as it is prepared.
    pub sql: String,
    /// The slots of the variables that `$1`, `$2`, … stand for.
    pub parameters: Vec<usize>,
    /// What it does to a transaction.
    pub role: Role,
    /// Whether, and how, its rows are taken into variables.
    pub gather: Option<Gather>,
    /// The statement as text between variables, for the simple protocol.
    pub(crate) texts: Vec<Text>,
}

/// A piece of a statement for the simple protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Plain(String),
    Slot(usize),
}

/// What a statement does to the transaction that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It begins one.
    Begin,
    /// It ends one: `COMMIT`, `END`.
    End,
    /// Neither.
    Other,
}

/// How a statement's rows become variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// The beginning of the variables' names, before the column's.
    pub prefix: String,
    /// `\aset`: the last row of whatever number; `\gset` wants exactly one.
    pub any_number: bool,
    /// The slots that columns can go to, by the column's name in lower case.
    pub(crate) slots: Vec<(String, usize)>,
}

impl Gather {
    /// The slot of a column, when something reads it.
    pub fn slot(&self, column: &str) -> Option<usize> {
        self.slots.iter().find(|(name, _)| name == column).map(|(_, slot)| *slot)
    }
}

impl Statement {
    /// Writes the statement with its variables replaced by their text, as pgbench's simple protocol
    /// does; says which variable has no value.
    pub fn write_simple(
        &self,
        variables: &[Option<Value>],
        out: &mut impl std::fmt::Write,
    ) -> Result<(), usize> {
        for text in &self.texts {
            let written = match text {
                Text::Plain(text) => out.write_str(text),
                Text::Slot(slot) => match variables.get(*slot) {
                    Some(Some(value)) => value.write(out),
                    _ => return Err(*slot),
                },
            };
            // Memory is all that could be missing.
            debug_assert!(written.is_ok());
        }
        Ok(())
    }
}
