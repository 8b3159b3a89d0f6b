//! The database: a pool of connections, and how many requests may wait for one.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
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
    pub(crate) async fn connection(&self) -> Result<Lent, Failure> {
        let lent = if self.named {
            self.pool.try_acquire().map(Lent::Connection)
        } else {
            self.pool.try_begin().await?.map(Lent::Transaction)
        };
        match lent {
            Some(lent) => Ok(lent),
            None => self.tried_connection().await,
        }
    }

    /// The same as the pool lends them by itself: one that was idle is tried first.
    pub(crate) async fn tried_connection(&self) -> Result<Lent, Failure> {
        let _place = self.waiting.try_acquire().map_err(|_| Failure::Busy)?;
        Ok(if self.named {
            Lent::Connection(self.pool.acquire().await?)
        } else {
            Lent::Transaction(self.pool.begin().await?)
        })
    }
}

/// A connection for as long as a request needs it.
///
/// sqlx sends an unnamed statement and its arguments in two batches; only a transaction keeps a
/// pooler from handing the second one to another server connection.
pub(crate) enum Lent {
    /// Statements are named, each a transaction of its own.
    Connection(PoolConnection<Postgres>),
    /// Statements are unnamed; what they change is lost unless it is given back by `done`.
    Transaction(Transaction<'static, Postgres>),
}

impl Lent {
    /// Gives it back, and keeps what was changed.
    pub(crate) async fn done(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Connection(_) => Ok(()),
            Self::Transaction(transaction) => transaction.commit().await,
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
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
