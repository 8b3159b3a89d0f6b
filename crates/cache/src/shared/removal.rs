//! Removing keys from Redis, each step bounded in time.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};
use tokio::time::timeout;

/// Keys in one UNLINK.
const CHUNK: usize = 500;

/// Removes keys; `limit` is for each command.
pub(crate) async fn unlink(
    keys: &HashSet<String>,
    at: &mut MultiplexedConnection,
    limit: Duration,
) -> Result<(), RedisError> {
    let keys: Vec<&String> = keys.iter().collect();
    for chunk in keys.chunks(CHUNK) {
        within(limit, cmd("UNLINK").arg(chunk).exec_async(at)).await?;
    }
    Ok(())
}

/// Removes every key that begins with `prefix`; `limit` is for each command.
pub(crate) async fn unlink_all(
    prefix: &str,
    at: &mut MultiplexedConnection,
    limit: Duration,
) -> Result<(), RedisError> {
    // A namespace has no character that a pattern takes for its own.
    let pattern = format!("{prefix}*");
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
        let (next, keys): (u64, HashSet<String>) = within(limit, scan.query_async(at)).await?;
        unlink(&keys, at, limit).await?;
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// An answer that stays out is an error like any other.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let out = |_| Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut)));
    timeout(limit, answer).await.unwrap_or_else(out)
}
