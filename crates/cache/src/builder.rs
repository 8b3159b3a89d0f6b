//! Describing a cache.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use redis::{Client, IntoConnectionInfo, ProtocolVersion};

use crate::cache::Cache;
use crate::clock::Clock;
use crate::error::BuildError;
use crate::inner::Inner;
use crate::memory::Memory;
use crate::shared::{Layout, LinkOptions, Overdue, State};

/// Describes a cache; [`build`](Self::build) makes it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pinchpoint_cache::BuildError> {
/// use pinchpoint_cache::Cache;
/// use std::time::Duration;
///
/// let cache = Cache::builder("shop")
///     .memory(16 << 20)
///     .redis("redis://127.0.0.1:1")? // nobody is there: the cache works in memory until somebody is
///     .redis_timeouts(Duration::from_millis(20), Duration::from_millis(200))
///     .concurrent_calls(32)
///     .build()
///     .await?;
/// assert!(!cache.is_whole());
/// assert!(Cache::builder("no:colon").build().await.is_err());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    namespace: String,
    memory: u64,
    redis: Option<Client>,
    soft: Duration,
    hard: Duration,
    patience: u32,
    heartbeat: Duration,
    alone_ttl: Duration,
    calls: usize,
    clock: Clock,
}

impl Builder {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            memory: 64 << 20,
            redis: None,
            soft: Duration::from_millis(50),
            hard: Duration::from_millis(500),
            patience: 3,
            heartbeat: Duration::from_secs(1),
            alone_ttl: Duration::from_secs(2),
            calls: 64,
            clock: Clock::Coarse,
        }
    }

    /// Bytes that the in-process level may use: 64 MiB when not set, 0 for none. Values are weighed by
    /// their types and what they serialise, with their keys, tags and the store's tables; values that
    /// box or share what they own, or keep room to spare, take more than they are weighed.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Shares values with other processes through the Redis at this URL,
    /// `redis://[user][:password@]host[:port][/database]` or `unix:///path`. Redis 6 or newer; not a
    /// cluster.
    ///
    /// # Errors
    ///
    /// A URL that cannot be read. Whether Redis is there is not asked here.
    pub fn redis(mut self, url: &str) -> Result<Self, BuildError> {
        let unreadable = |e: redis::RedisError| BuildError::RedisUrl(e.to_string());
        let info = url.into_connection_info().map_err(unreadable)?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        self.redis = Some(Client::open(info).map_err(unreadable)?);
        Ok(self)
    }

    /// How long a read from Redis may take before the function is called instead (50 ms), and how
    /// long a write, or an attempt to connect, may take (500 ms).
    #[must_use]
    pub fn redis_timeouts(mut self, soft: Duration, hard: Duration) -> Self {
        (self.soft, self.hard) = (soft, hard.max(soft));
        self
    }

    /// How many answers in a row may stay out before Redis is held to be away (3).
    #[must_use]
    pub fn patience(mut self, answers: u32) -> Self {
        self.patience = answers.max(1);
        self
    }

    /// How often the connection is tried, and so how long a connection that died without a word
    /// may go unnoticed (1 s): until then other processes' invalidations do not arrive.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// How long a value that Redis did not take is believed in this process (2 s).
    #[must_use]
    pub fn alone_ttl(mut self, limit: Duration) -> Self {
        self.alone_ttl = limit;
        self
    }

    /// How many calls of functions may be under way at once (64): with Redis gone and memory cold,
    /// this bounds what reaches the database. More wait for their turn, as long as their policy's
    /// time-out lets them. A call made inside another has that one's turn.
    #[must_use]
    pub fn concurrent_calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// Takes the time from tokio, which a test can pause and move on, instead of the system's coarse
    /// clock, which is cheaper to read.
    #[must_use]
    pub fn tokio_clock(mut self) -> Self {
        self.clock = Clock::tokio();
        self
    }

    /// Makes the cache, inside a tokio runtime. A Redis that is not there is no error: the cache
    /// works without it and connects when it appears. The first attempt is waited for.
    ///
    /// # Errors
    ///
    /// A namespace that cannot stand in keys, nothing to store in, no runtime, no thread.
    pub async fn build(self) -> Result<Cache, BuildError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !(1..=64).contains(&self.namespace.len()) || !self.namespace.chars().all(fits) {
            return Err(BuildError::Namespace(self.namespace));
        }
        if self.memory == 0 && self.redis.is_none() {
            return Err(BuildError::Nothing);
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let memory =
            Memory::new(self.memory, counter!("cache_evictions_total", "level" => "memory"));
        let layout = Layout::new(&self.namespace);
        let redis = self.redis.map(|client| {
            let options = LinkOptions {
                client,
                prefix: layout.prefix(),
                soft: Overdue::new(self.soft)?,
                hard: self.hard,
                patience: self.patience,
                heartbeat: self.heartbeat,
            };
            Ok((layout, options))
        });
        let redis = redis.transpose().map_err(BuildError::NoThread)?;
        let inner = Inner::new(
            memory,
            self.calls,
            self.alone_ttl,
            redis,
            gauge!("cache_memory_bytes"),
            self.clock,
        );
        if let Some(shared) = &inner.shared {
            let mut state = shared.link.state();
            let keeper = runtime.spawn(Arc::clone(&shared.link).keep());
            inner.owns(keeper.abort_handle());
            // It ends only with the cache.
            let _ = state.wait_for(|state| *state != State::Starting).await;
        }
        Ok(Cache { inner })
    }
}
