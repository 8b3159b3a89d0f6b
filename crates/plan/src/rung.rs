use std::time::Duration;

use pinchpoint_measure::Method;

/// One step of the ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// Letters, digits, dots, dashes and underscores: `2-B`.
    pub name: String,
    /// What it changes, in a few words.
    pub title: String,
    /// The rung that gives what this one does not state.
    pub like: Option<Like>,
    /// How it connects. While `like` is [`Like::Best`], this and the next three are those of the
    /// last rung that could be the best; [`Rung::taking`] gives the true ones.
    pub connection: Connection,
    /// Virtual users.
    pub concurrency: u32,
    /// How rows are written.
    pub method: Method,
    /// Rows in a statement.
    pub batch: Batch,
    /// What the rung's own text says of the four above.
    pub stated: Stated,
    /// The rung whose sweep decides this one's batch size, when that is another one that is to be
    /// run.
    pub batch_of: Option<String>,
    /// Whether a commit waits for its WAL to be on disk.
    pub synchronous_commit: bool,
    /// False for the null rung: the same path, and nothing written.
    pub write: bool,
    /// Whether the server is stopped at once after each trial, and lost rows are counted.
    pub crash: bool,
    /// What this rung changes, as predictions name it; one of [`LEVERS`].
    pub lever: Option<String>,
}

/// The levers that a rung may name.
pub const LEVERS: &[&str] =
    &["pool", "concurrency", "batch", "unnest", "copy", "synchronous_commit"];

/// Where a rung takes what it does not state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Like {
    /// From the durable writing rung with the highest throughput so far in the run.
    Best,
    /// From the rung of this name.
    Rung(String),
}

/// How a rung connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// A new connection for each operation.
    PerOperation,
    /// Connections are kept and shared.
    Pool {
        /// Connections open from the start.
        min: u32,
        /// The most that are open at once.
        max: u32,
        /// How long an operation waits for one before it fails.
        timeout: Duration,
    },
}

/// Rows in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// This many.
    Fixed(u32),
    /// These are tried before the trials, and the best is taken; at least 2, no two alike.
    Sweep(Vec<u32>),
}

/// What a rung's own text says; the rest comes from the rung that it is like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// `connection` and `pool`.
    pub connection: Option<Connection>,
    /// `concurrency`.
    pub concurrency: Option<u32>,
    /// `method`.
    pub method: Option<Method>,
    /// `batch`.
    pub batch: Option<Batch>,
}

impl Batch {
    /// The largest size.
    pub fn largest(&self) -> u32 {
        match self {
            Self::Fixed(size) => *size,
            Self::Sweep(sizes) => sizes.iter().copied().max().unwrap_or(1),
        }
    }
}

impl Rung {
    /// This rung with connection, concurrency, method and batch of `other`, except for what it
    /// states itself.
    #[must_use]
    pub fn taking(&self, other: &Self) -> Self {
        let Stated { connection, concurrency, method, batch } = self.stated.clone();
        Self {
            connection: connection.unwrap_or(other.connection),
            concurrency: concurrency.unwrap_or(other.concurrency),
            method: method.unwrap_or(other.method),
            batch: batch.unwrap_or_else(|| other.batch.clone()),
            ..self.clone()
        }
    }

    /// The most connections that it opens at once.
    pub fn connections_opened(&self) -> u32 {
        match self.connection {
            Connection::PerOperation => self.concurrency,
            Connection::Pool { max, .. } => max,
        }
    }

    /// Whether it writes rows that survive a crash: only such a rung can be the best.
    pub fn is_durable(&self) -> bool {
        self.write && self.synchronous_commit
    }
}
