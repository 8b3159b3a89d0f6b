//! PgBouncer's admin console: its queues and totals, read and never changed. `SHOW POOLS`, `SHOW
//! STATS` and `SHOW VERSION` are all that is asked.

mod console;
mod listener;
mod queues;
mod task;

use pinchpoint_sql::{Dsn, DsnError};

pub use console::{ConsoleError, PoolerConsole};
pub(crate) use listener::{Listener, listener};
pub(crate) use task::PoolerTask;

/// The database that stands for the console; a URL that names none means this one.
const CONSOLE: &str = "pgbouncer";
/// What an observation calls the console where it could not be read. The verdict knows it by this.
pub(crate) const POOLER: &str = "pgbouncer";

/// A console to be read beside the server.
#[derive(Debug, Clone)]
pub struct PoolerSpec {
    /// Where it is.
    pub dsn: Dsn,
    /// The database whose pools count, as PgBouncer calls it; all of them where it is not known.
    pub database: Option<String>,
}

impl PoolerSpec {
    /// Reads the console's URL. The error says what is wrong with it.
    pub fn read(
        url: &str,
        password: Option<String>,
        database: Option<&str>,
    ) -> Result<Self, DsnError> {
        let dsn = Dsn::parse_for(url, CONSOLE)?.with_password(password);
        Ok(Self { dsn, database: database.map(str::to_owned) })
    }
}
