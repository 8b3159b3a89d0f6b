//! The database: a pool of connections, and how many requests may wait for one.

use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres};
use tokio::sync::Semaphore;

use crate::error::Failure;
use crate::settings::{Settings, is_on, setting, text};

#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    /// Statements are named and kept.
    pub(crate) named: bool,
    waiting: Arc<Semaphore>,
}

type Start<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Database {
    /// Nothing is connected to yet.
    pub(crate) fn new(settings: &Settings) -> Start<Self> {
        let waiting = Arc::new(Semaphore::new(settings.waiting));
        Ok(Self { pool: pool()?, named: settings.named, waiting })
    }

    /// A connection of the pool. When too many wait for one already, it is refused at once.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, Failure> {
        match self.pool.try_acquire() {
            Some(connection) => Ok(connection),
            None => self.tried_connection().await,
        }
    }

    /// The same as the pool lends them by itself: one that was idle is tried first.
    pub(crate) async fn tried_connection(&self) -> Result<PoolConnection<Postgres>, Failure> {
        let _place = self.waiting.try_acquire().map_err(|_| Failure::Busy)?;
        Ok(self.pool.acquire().await?)
    }
}

fn pool() -> Start<PgPool> {
    let url = text("DATABASE_URL").ok_or("DATABASE_URL is not set")?;
    let mut server: PgConnectOptions = url.parse()?;
    if is_on("DB_TRANSACTION_POOLING") {
        server = server.extra_float_digits(None); // else poolers must be told to let it pass
    }
    let mut pool = PgPoolOptions::new();
    if let Some(size) = setting("DB_POOL_SIZE")? {
        pool = pool.max_connections(size);
    }
    if let Some(least) = setting("DB_POOL_MIN")? {
        pool = pool.min_connections(least);
    }
    if let Some(seconds) = setting("DB_POOL_TIMEOUT")? {
        pool = pool.acquire_timeout(Duration::from_secs(seconds));
    }
    Ok(pool.connect_lazy_with(server))
}
