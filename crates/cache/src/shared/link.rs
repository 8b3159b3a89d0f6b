//! The connection to Redis: made, watched, given up and made again.
//!
//! One connection carries commands and the server's invalidation pushes, in order. While it stands,
//! what is in memory may be trusted; when it is lost, by its end or because answers stay out, memory
//! is distrusted and Redis is not asked again until a new connection has been set up and every
//! invalidation of the meantime has been sent. So the link is the circuit breaker too: closed while
//! there is a connection, open while there is none, and each attempt to connect is its probe.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, counter, gauge};
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, PushInfo, PushKind, RedisError,
    ScriptInvocation, Value, cmd,
};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::overdue::Overdue;
use super::pending::{Due, Pending};
use super::removal::{unlink, unlink_all, within};

/// The shortest and longest pause between attempts to connect.
const SOONEST: Duration = Duration::from_millis(25);
const LATEST: Duration = Duration::from_secs(1);

pub(crate) struct LinkOptions {
    pub(crate) client: Client,
    /// What our keys begin with.
    pub(crate) prefix: String,
    /// How long a read may take before the function is called instead.
    pub(crate) soft: Overdue,
    /// How long a write or an attempt to connect may take.
    pub(crate) hard: Duration,
    /// This many answers in a row that stay out end the connection.
    pub(crate) patience: u32,
    /// How often an idle connection is tried.
    pub(crate) heartbeat: Duration,
}

/// Why Redis did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    /// It gave no answer in time, or there is no connection; whether it was done is not known.
    Silent,
    /// It answered that it will not: full, read-only, loading. Nothing was done.
    Refused,
}

/// What the link tells its cache, from the task that reads the connection, so in order with replies.
pub(crate) trait Listener: Send + Sync + 'static {
    /// A key of ours changed.
    fn changed(&self, key: &str);
    /// Everything may have changed.
    fn all_changed(&self);
}

pub(crate) struct Link {
    options: LinkOptions,
    listener: Weak<dyn Listener>,
    connection: Mutex<Option<MultiplexedConnection>>,
    pending: Mutex<Pending>,
    failing: AtomicU32,
    lost: Notify,
    state: watch::Sender<State>,
    meters: Meters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Up,
    Down,
}

struct Meters {
    timeout: Counter,
    connection: Counter,
    server: Counter,
    up: Gauge,
    pending: Gauge,
}

impl Link {
    pub(crate) fn new(options: LinkOptions, listener: Weak<dyn Listener>) -> Arc<Self> {
        let errors = |kind| counter!("cache_redis_errors_total", "kind" => kind);
        Arc::new(Self {
            options,
            listener,
            connection: Mutex::default(),
            pending: Mutex::default(),
            failing: AtomicU32::new(0),
            lost: Notify::new(),
            state: watch::Sender::new(State::Starting),
            meters: Meters {
                timeout: errors("timeout"),
                connection: errors("connection"),
                server: errors("server"),
                up: gauge!("cache_redis_up"),
                pending: gauge!("cache_pending_invalidations"),
            },
        })
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn is_up(&self) -> bool {
        *self.state.borrow() == State::Up
    }

    /// Drops the connection for good; the keeper is to be aborted by whoever started it.
    pub(crate) fn close(&self) {
        *lock(&self.connection) = None;
        self.state.send_replace(State::Down);
    }

    pub(crate) fn pending(&self) -> usize {
        lock(&self.pending).len()
    }

    /// Keeps the connection, until the task is aborted.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut pause = SOONEST;
        loop {
            // Forgets a loss that was noticed while there was no connection to lose.
            let mut noted = std::pin::pin!(self.lost.notified());
            noted.as_mut().enable();
            match self.connect().await {
                Ok(connection) => {
                    pause = SOONEST;
                    let beating = self.heartbeat(connection);
                    tokio::select! { () = noted => {}, () = beating => {} }
                    self.let_go();
                }
                Err(error) => {
                    self.count(&error);
                    self.meters.up.set(0.0);
                    self.state.send_replace(State::Down);
                }
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LATEST);
        }
    }

    /// Connects and asks for pushes.
    async fn open(self: &Arc<Self>) -> Result<MultiplexedConnection, RedisError> {
        let link = Arc::downgrade(self);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.hard))
            .set_response_timeout(None) // each command has its own
            .set_push_sender(move |push: PushInfo| {
                if let Some(link) = link.upgrade() {
                    link.pushed(&push);
                }
                Ok::<_, redis::aio::SendError>(())
            });
        let mut connection =
            self.options.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut track = cmd("CLIENT");
        // Our own writes we know of; changes by others of keys that we read come as pushes.
        track.arg("TRACKING").arg("ON").arg("NOLOOP").exec_async(&mut connection).await?;
        Ok(connection)
    }

    /// Connects, sends what is due, and only then lets commands through. Each step has its own limit
    /// and the whole has none: what was taken to be sent must not be dropped half-way, and is put back
    /// when a step fails.
    async fn connect(self: &Arc<Self>) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = within(self.options.hard * 4, self.open()).await?;
        loop {
            let due = {
                let mut pending = lock(&self.pending);
                let due = pending.take();
                if matches!(due, Due::Nothing) {
                    // Under the lock: an invalidation either was due or finds the connection.
                    self.failing.store(0, Ordering::Relaxed);
                    *lock(&self.connection) = Some(connection.clone());
                    self.meters.up.set(1.0);
                    self.meters.pending.set(0.0);
                    self.state.send_replace(State::Up);
                    return Ok(connection);
                }
                due
            };
            self.send_due(due, &mut connection).await?;
        }
    }

    async fn send_due(&self, due: Due, at: &mut MultiplexedConnection) -> Result<(), RedisError> {
        match due {
            Due::Nothing => Ok(()),
            Due::Keys(keys) => {
                let sent = unlink(&keys, at, self.options.hard).await;
                if sent.is_err() {
                    lock(&self.pending).add(keys);
                }
                sent
            }
            Due::Everything => {
                let sent = unlink_all(&self.options.prefix, at, self.options.hard).await;
                if sent.is_err() {
                    lock(&self.pending).add_everything();
                }
                sent
            }
        }
    }

    /// Returns when the connection no longer answers.
    async fn heartbeat(&self, mut connection: MultiplexedConnection) {
        loop {
            sleep(self.options.heartbeat).await;
            let ping = cmd("PING");
            let beat = ping.exec_async(&mut connection);
            if !matches!(timeout(self.options.hard, beat).await, Ok(Ok(()))) {
                self.meters.timeout.increment(1);
                return;
            }
        }
    }

    fn let_go(&self) {
        *lock(&self.connection) = None;
        self.meters.up.set(0.0);
        self.state.send_replace(State::Down);
        if let Some(listener) = self.listener.upgrade() {
            listener.all_changed();
        }
    }

    fn pushed(&self, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection => self.lost.notify_waiters(),
            PushKind::Invalidate => {
                let Some(listener) = self.listener.upgrade() else { return };
                match push.data.first() {
                    Some(Value::Array(keys)) => {
                        for key in keys {
                            if let Value::BulkString(key) = key
                                && let Ok(key) = std::str::from_utf8(key)
                            {
                                listener.changed(key);
                            }
                        }
                    }
                    // FLUSHALL and FLUSHDB push a null.
                    _ => listener.all_changed(),
                }
            }
            _ => {}
        }
    }

    /// Asks for what stands somewhere, which is limited from when the caller `began`, just now.
    pub(crate) async fn read(&self, command: &Cmd, began: Instant) -> Result<Value, Down> {
        let mut connection = self.connection()?;
        // The client boxes it: the future of `send_packed_command` is larger than a call of ours.
        let answer = self.options.soft.within(began, connection.req_packed_command(command)).await;
        self.judge(answer.map(|answer| answer.and_then(Value::extract_error)))
    }

    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Down> {
        self.limited(self.options.hard, async |at| script.invoke_async(at).await).await
    }

    async fn limited<T>(
        &self,
        limit: Duration,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Down> {
        let mut connection = self.connection()?;
        self.judge(timeout(limit, ask(&mut connection)).await.ok())
    }

    fn connection(&self) -> Result<MultiplexedConnection, Down> {
        lock(&self.connection).clone().ok_or(Down::Silent)
    }

    /// Notes how a command ended, or that no answer came in time.
    fn judge<T>(&self, answer: Option<Result<T, RedisError>>) -> Result<T, Down> {
        match answer {
            Some(Ok(answer)) => {
                self.failing.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Some(Err(error)) => {
                self.count(&error);
                if error.is_connection_dropped() || error.is_unrecoverable_error() {
                    self.lost.notify_waiters();
                }
                Err(if is_of_the_connection(&error) { Down::Silent } else { Down::Refused })
            }
            None => {
                self.meters.timeout.increment(1);
                if self.failing.fetch_add(1, Ordering::Relaxed) + 1 >= self.options.patience {
                    self.lost.notify_waiters();
                }
                Err(Down::Silent)
            }
        }
    }

    /// Removes keys. What cannot be removed now is due before Redis is trusted again.
    pub(crate) async fn remove(&self, keys: HashSet<String>) -> bool {
        {
            let mut pending = lock(&self.pending);
            if lock(&self.connection).is_none() {
                pending.add(keys);
                self.meters.pending.set(pending.len() as f64);
                return false;
            }
        }
        let limit = self.options.hard;
        let sent = self.limited(limit, async |at| unlink(&keys, at, limit).await).await;
        if sent.is_err() {
            lock(&self.pending).add(keys);
            // Whether it was done is not known: the next connection begins with it.
            self.lost.notify_waiters();
        }
        sent.is_ok()
    }

    /// Removes every key of the namespace.
    pub(crate) async fn remove_all(&self) -> bool {
        let connection = lock(&self.connection).clone();
        if let Some(mut connection) = connection {
            match unlink_all(&self.options.prefix, &mut connection, self.options.hard).await {
                Ok(()) => return true,
                Err(error) => self.count(&error),
            }
        }
        lock(&self.pending).add_everything();
        self.lost.notify_waiters();
        false
    }

    fn count(&self, error: &RedisError) {
        let meter = if error.is_timeout() {
            &self.meters.timeout
        } else if is_of_the_connection(error) {
            &self.meters.connection
        } else {
            &self.meters.server
        };
        meter.increment(1);
    }
}

fn is_of_the_connection(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
