//! Filling the cache at start, a few calls at a time, before the service says that it is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How far a warming has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Calls that have ended, well or not.
    pub done: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// Calls declared.
    pub total: usize,
}

type Call = Box<dyn FnOnce() -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> + Send>;

/// Calls to be made at start, so that the first users do not pay for a cold cache.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use pinchpoint_cache::Warming;
/// use std::time::Duration;
/// async fn get_user(id: i64) -> Result<Option<String>, std::io::Error> { Ok(Some(id.to_string())) }
///
/// let mut warming = Warming::new().concurrency(8).deadline(Duration::from_secs(10));
/// for id in 1..=100 {
///     warming.call(move || get_user(id));
/// }
/// let gate = warming.start();
/// gate.ready().await; // all calls have ended, or the deadline has passed
/// assert_eq!(gate.progress().done, 100);
/// # });
/// ```
pub struct Warming {
    calls: Vec<Call>,
    concurrency: usize,
    deadline: Duration,
}

impl std::fmt::Debug for Warming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warming").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl Default for Warming {
    fn default() -> Self {
        Self::new()
    }
}

impl Warming {
    /// No calls yet, 8 at a time, ready after 30 s at the latest.
    #[must_use]
    pub fn new() -> Self {
        Self { calls: Vec::new(), concurrency: 8, deadline: Duration::from_secs(30) }
    }

    /// How many calls may be under way at once.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// When the service counts as ready though calls are still to be made. They go on.
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Declares a call of a cached function. A failed call is counted and not repeated.
    pub fn call<T, E, F>(&mut self, call: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.calls.push(Box::new(move || {
            let call = call();
            Box::pin(async move { call.await.is_ok() })
        }));
    }

    /// Starts the calls in the background, inside a tokio runtime.
    #[must_use]
    pub fn start(self) -> Gate {
        let total = self.calls.len();
        let counts =
            Arc::new(Counts { done: AtomicUsize::new(0), failed: AtomicUsize::new(0), total });
        let (ready, gate) = watch::channel(false);
        let deadline = Instant::now() + self.deadline;
        let gate = Gate { counts: Arc::clone(&counts), ready: gate };
        tokio::spawn(async move {
            let calls = make(self.calls, self.concurrency, counts);
            let mut calls = std::pin::pin!(calls);
            tokio::select! {
                () = &mut calls => {}
                () = sleep_until(deadline) => {
                    ready.send_replace(true);
                    calls.await;
                }
            }
            ready.send_replace(true);
        });
        gate
    }
}

async fn make(calls: Vec<Call>, concurrency: usize, counts: Arc<Counts>) {
    let mut under_way = JoinSet::new();
    let count = |ended: Result<bool, tokio::task::JoinError>| {
        if !ended.unwrap_or(false) {
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
        counts.done.fetch_add(1, Ordering::Relaxed);
    };
    for call in calls {
        if under_way.len() >= concurrency
            && let Some(ended) = under_way.join_next().await
        {
            count(ended);
        }
        under_way.spawn(call());
    }
    while let Some(ended) = under_way.join_next().await {
        count(ended);
    }
}

#[derive(Debug)]
struct Counts {
    done: AtomicUsize,
    failed: AtomicUsize,
    total: usize,
}

/// Tells how far a warming is, and when the service may say that it is ready.
#[derive(Debug, Clone)]
pub struct Gate {
    counts: Arc<Counts>,
    ready: watch::Receiver<bool>,
}

impl Gate {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.counts.done.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            total: self.counts.total,
        }
    }

    /// Whether every call has ended or the deadline has passed.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        // An end of the runtime ends the waiting too.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }
}
