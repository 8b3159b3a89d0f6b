use std::io;
use std::path::PathBuf;

use pinchpoint_dataset::DatasetError;
use pinchpoint_load::{HistogramLogError, LoadError};
use pinchpoint_observe::ConsoleError;
use pinchpoint_sql::SqlError;
use pinchpoint_stack::StackError;

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The managed server.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The server answered an administrative statement with an error, or not at all.
    #[error("the server did not {action}: {source}")]
    Server {
        /// What was asked of it.
        action: &'static str,
        /// What it said.
        source: SqlError,
    },
    /// The console of a pooler of ours.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The server cannot carry the experiment; nothing was changed on it.
    #[error("{0}")]
    Unsuitable(String),
    /// A result file or its directory.
    #[error("failed to write {}: {source}", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The histogram log.
    #[error(transparent)]
    Histograms(#[from] HistogramLogError),
    /// The load engine.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The control runtime.
    #[error("failed to start the control runtime: {0}")]
    Runtime(io::Error),
    /// The data that requests read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}
