//! Drives `PostgreSQL`: a lean client for the hot path, on the `postgres-protocol` crate.
//!
//! It times each phase of an operation and allocates nothing for one once its buffers have grown.
//! Everything belongs to one load thread; nothing locks.

mod admin;
mod backoff;
mod connect;
mod connection;
mod copy_in;
mod dsn;
mod error;
mod hold;
mod pool;
mod rows;
mod script;
mod statement_driver;
mod strategy;
mod stream;
mod tls;
mod wire;
mod write_driver;

pub use admin::{Admin, Suitability};
pub use connection::{Connection, Rows};
pub use copy_in::CopyIn;
pub use dsn::{Dsn, DsnError, SslMode};
pub use error::SqlError;
pub use hold::Hold;
pub use script::{
    LogLayout, LogWritten, ScriptConnection, ScriptCounts, ScriptDriver, ScriptSpec, ScriptTally,
    ScriptUser, StatementCounts, TransactionLog,
};
pub use statement_driver::{StatementDriver, StatementUser};
pub use strategy::quote;
pub use tls::TlsSetup;
pub use write_driver::{ConnectionSpec, WriteDriver, WriteSpec, WriteUser};

/// The application name of the load's sessions: the server's views tell them apart by it.
pub const LOAD_NAME: &str = "pinchpoint-load";
