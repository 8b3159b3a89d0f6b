//! PgBouncer's console, and its pool made warm before the load.

use std::time::Duration;

use pinchpoint_observe::{PoolerConsole, PoolerSpec};
use pinchpoint_sql::{Connection, Dsn, SqlError, TlsSetup};
use pinchpoint_stack::{Cancel, PgBouncer};

use crate::error::LabError;

/// How long a pool may take to fill.
const FILL_WITHIN: Duration = Duration::from_secs(10);
/// PgBouncer's own default.
const DEFAULT_POOL_SIZE: u64 = 20;

/// A pooler that is ready for load.
pub(crate) struct Pooled {
    pub(crate) console: PoolerConsole,
    /// What is observed of it under load.
    pub(crate) observed: PoolerSpec,
    /// Connections to the server that stood ready before the first request.
    pub(crate) ready: u64,
    /// How many its settings promise.
    pub(crate) wanted: u64,
}

impl Pooled {
    /// Opens the console and fills the pool to its `min_pool_size`.
    ///
    /// PgBouncer logs in to the server one connection at a time, and old versions (1.18 is one) only
    /// while clients are there: without this the load's first requests would wait for a cold pool.
    pub(crate) async fn open(
        pooler: &PgBouncer,
        database: &str,
        settings: &[(String, String)],
        cancel: &Cancel,
    ) -> Result<Self, LabError> {
        let observed =
            PoolerSpec { dsn: dsn(pooler, "pgbouncer")?, database: Some(database.to_owned()) };
        let mut console = PoolerConsole::open(&observed.dsn).await?;
        let wanted = wanted(settings);
        // What could not be opened shows in the count below.
        let _ = tokio::time::timeout(FILL_WITHIN, fill(&dsn(pooler, database)?, wanted)).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
        let mut ready = 0;
        while !cancel.is_cancelled() {
            ready = console.ready_servers().await.unwrap_or(0);
            if ready >= wanted || tokio::time::Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Self { console, observed, ready, wanted })
    }
}

/// The connections that the settings keep ready: never more than the pool may have.
fn wanted(settings: &[(String, String)]) -> u64 {
    let number = |name: &str| {
        let value = settings.iter().rev().find(|(known, _)| known == name);
        value.and_then(|(_, v)| v.trim().parse::<u64>().ok())
    };
    let most = number("default_pool_size").unwrap_or(DEFAULT_POOL_SIZE);
    number("min_pool_size").unwrap_or(0).min(most)
}

/// Holds transactions open side by side, each of which takes a server connection of its own.
async fn fill(dsn: &Dsn, wanted: u64) -> Result<(), SqlError> {
    let mut holders = Vec::new();
    for _ in 0..wanted {
        let mut holder = connect(dsn).await?;
        holder.query("BEGIN").await?;
        holders.push(holder);
    }
    // PgBouncer closes the server connection of a client that leaves in mid-transaction.
    for mut holder in holders {
        holder.query("ROLLBACK").await?;
        holder.close().await;
    }
    Ok(())
}

fn dsn(pooler: &PgBouncer, database: &str) -> Result<Dsn, LabError> {
    Dsn::parse(&pooler.dsn(database)).map_err(|e| LabError::Unsuitable(e.to_string()))
}

async fn connect(dsn: &Dsn) -> Result<Connection, SqlError> {
    Connection::connect(dsn, &TlsSetup::new(dsn)?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_ready_is_never_more_than_the_pool_may_have() {
        let settings = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        assert_eq!(wanted(&settings(&[])), 0);
        assert_eq!(wanted(&settings(&[("min_pool_size", "5")])), 5);
        assert_eq!(wanted(&settings(&[("min_pool_size", "50")])), 20);
        let both = settings(&[("min_pool_size", "50"), ("default_pool_size", "30")]);
        assert_eq!(wanted(&both), 30);
    }
}
