//! What every request works with.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use pinchpoint_cache::{Cache, Gate};

use crate::client::UserClient;
use crate::database::Database;
use crate::error::Failure;
use crate::graphql::Schema;
use crate::settings::Settings;
use crate::statics::Statics;
use crate::turns::Turns;

/// Passwords that are hashed at a time: each takes a core and 19 MiB.
const HASHED_AT_ONCE: u32 = 2;
/// Log-ins that may wait for that: more would wait for seconds.
const LOG_INS_WAITING: usize = 32;
const LOG_IN_PATIENCE: Duration = Duration::from_secs(10);

/// Changes under way; those whose clients have gone away are among them.
const CHANGES_AT_ONCE: u32 = 1000;

#[derive(Clone)]
pub(crate) struct Blog {
    pub(crate) database: Database,
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
    pub(crate) gate: OnceLock<Gate>,
    pub(crate) hashing: Turns,
    /// See [`Blog::to_its_end`].
    changes: Turns,
}

type Start<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Blog {
    pub(crate) async fn new(settings: Settings, metrics: PrometheusHandle) -> Start<Self> {
        let database = Database::new(&settings)?;
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
            schema: crate::graphql::schema(&database),
            statics: Statics::new()?,
            users: users.map(|url| UserClient::new(url, settings.shared_client)).transpose()?,
            gate: OnceLock::new(),
            hashing: Turns::new(HASHED_AT_ONCE, LOG_INS_WAITING, LOG_IN_PATIENCE),
            changes: Turns::new(CHANGES_AT_ONCE, 0, Duration::ZERO),
        };
        Ok(Self { database, cache, settings: Arc::new(settings), parts: Arc::new(parts) })
    }

    /// Runs a change to its end even when the client goes away or its time is up, which drops the
    /// handler: what has been committed must be forgotten by the cache.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = self.parts.changes.take().await?;
        let whole = async move {
            let changed = change.await;
            drop(turn);
            changed
        };
        tokio::spawn(whole).await?
    }

    /// Waits for what is under way, and closes what is connected.
    pub(crate) async fn close(&self) {
        self.parts.changes.close().await;
        if let Some(users) = &self.parts.users {
            users.close().await;
        }
        self.cache.shut_down();
        self.database.pool.close().await;
    }
}
