use crate::{Experiment, Matrix};

/// What an experiment file describes.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Rungs that write rows in ever better ways.
    Ladder(Box<Experiment>),
    /// Applications, ways to the database, numbers of users.
    Matrix(Box<Matrix>),
}

impl Plan {
    /// The experiment's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Ladder(ladder) => &ladder.name,
            Self::Matrix(matrix) => &matrix.name,
        }
    }

    /// One or two sentences; may be empty.
    pub fn description(&self) -> &str {
        match self {
            Self::Ladder(ladder) => &ladder.description,
            Self::Matrix(matrix) => &matrix.description,
        }
    }
}
