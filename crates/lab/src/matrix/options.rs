use std::path::PathBuf;

use pinchpoint_stack::{AppFile, Helper, PoolerProgram};

use crate::ledger::Ledger;
use crate::options::Target;

/// Where and on what a matrix is run.
#[derive(Debug, Clone)]
pub struct MatrixOptions {
    /// The result directory; `results/<experiment>-<time>` when absent.
    pub directory: Option<PathBuf>,
    /// Go on with the run whose result is in `directory`: cases that have all their trials stay.
    pub resume: bool,
    /// The database server. In one that is not ours the blog's tables are made, and stay.
    pub server: Target,
    /// Our own executable, which prepares and guards child processes.
    pub helper: Helper,
    /// The pooler; absent when none was found, with the reason.
    pub pooler: Result<PoolerProgram, String>,
    /// Applications that ship inside.
    pub built_in: Vec<BuiltInApp>,
    /// Where the experiment file is: relative directories of applications count from there.
    pub base: PathBuf,
    /// Where predictions are kept with what became of them, and learned from; nowhere when absent.
    pub ledger: Option<Ledger>,
    /// Raise the users beyond the largest level until throughput no longer grows.
    pub until_limit: bool,
    /// Whether to prove verdicts: after all trials, each case's demands are made larger on purpose.
    pub prove: bool,
}

/// An application that ships inside the command.
#[derive(Debug, Clone)]
pub struct BuiltInApp {
    /// `fastapi`.
    pub name: &'static str,
    /// Its files.
    pub files: &'static [AppFile],
}
