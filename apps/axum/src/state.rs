//! What every request works with.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use pinchpoint_cache::{Cache, Gate};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres};
use tokio::sync::Semaphore;

use crate::client::UserClient;
use crate::error::Failure;
use crate::graphql::Schema;
use crate::settings::{Settings, is_on, setting, text};
use crate::statics::Statics;

#[derive(Clone)]
pub(crate) struct Blog {
    pub(crate) pool: PgPool,
    pub(crate) cache: Cache,
    pub(crate) settings: Arc<Settings>,
    pub(crate) parts: Arc<Parts>,
}

pub(crate) struct Parts {
    pub(crate) metrics: PrometheusHandle,
    pub(crate) schema: Schema,
    pub(crate) statics: Statics,
    /// Where users are asked for, when that is another service.
    pub(crate) users: Option<UserClient>,
    pub(crate) gate: std::sync::OnceLock<Gate>,
    /// Passwords that may be hashed at a time: each takes a core and 19 MiB.
    pub(crate) hashing: Semaphore,
    waiting: Semaphore,
}

type Start<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Blog {
    pub(crate) async fn new(settings: Settings, metrics: PrometheusHandle) -> Start<Self> {
        let pool = pool()?;
        let cache = if settings.cache {
            let mut cache = Cache::builder("blog").memory(settings.cache_memory);
            if let Some(url) = &settings.redis {
                cache = cache.redis(url)?;
            }
            cache.build().await?
        } else {
            Cache::off()
        };
        let users = settings.cache_service.as_deref();
        let parts = Parts {
            metrics,
            schema: crate::graphql::schema(pool.clone()),
            statics: Statics::new()?,
            users: users.map(|url| UserClient::new(url, settings.shared_client)).transpose()?,
            gate: std::sync::OnceLock::new(),
            hashing: Semaphore::new(2),
            waiting: Semaphore::new(settings.waiting),
        };
        Ok(Self { pool, cache, settings: Arc::new(settings), parts: Arc::new(parts) })
    }

    /// A connection of the pool. When too many wait for one already, it is refused at once.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, Failure> {
        if let Some(connection) = self.pool.try_acquire() {
            return Ok(connection);
        }
        let _place = self.parts.waiting.try_acquire().map_err(|_| Failure::Busy)?;
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
