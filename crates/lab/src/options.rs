use std::path::PathBuf;

use pinchpoint_stack::{Helper, Installation};

use crate::ledger::Ledger;

/// Where and on what an experiment is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The result directory; `results/<experiment>-<time>` when absent.
    pub directory: Option<PathBuf>,
    /// The server.
    pub target: Target,
    /// Where predictions are kept with what became of them, and learned from; nowhere when absent.
    pub ledger: Option<Ledger>,
    /// Whether to prove verdicts: after its trials, each rung's demands are made larger on purpose.
    pub prove: bool,
}

/// The server that an experiment is run on.
#[derive(Debug, Clone)]
pub enum Target {
    /// A private one, started and removed by us.
    Managed {
        /// Its programs.
        installation: Installation,
        /// Our own executable, which prepares and guards child processes.
        helper: Helper,
    },
    /// Somebody else's; only a schema of our own is made in it and dropped again.
    External {
        /// Where it is.
        dsn: String,
    },
}
