//! Calling the function itself: bounded in number and in time, in a task of its own, so that a
//! caller that goes away neither stops it nor makes others start again.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::cache::Loaded;
use crate::error::{Interrupted, LoadError};
use crate::memory::Name;
use crate::telemetry::{LoadEnd, Meters};

tokio::task_local! {
    /// The calls that this task is inside of.
    static CHAIN: Arc<Chain>;
}

/// A cached function that is being called, and those that called it.
pub(crate) struct Chain {
    name: Name,
    outer: Option<Arc<Chain>>,
}

/// The calls that the current task is inside of.
pub(crate) fn chain() -> Option<Arc<Chain>> {
    CHAIN.try_with(Arc::clone).ok()
}

/// Whether the current task is inside a call for `name`: to wait for that call would be for ever.
pub(crate) fn is_inside(name: &Name) -> bool {
    let innermost = chain();
    std::iter::successors(innermost.as_ref(), |chain| chain.outer.as_ref())
        .any(|chain| chain.name == *name)
}

pub(crate) struct Origin {
    turns: Arc<Semaphore>,
}

/// One call to be made.
pub(crate) struct Call<'a> {
    pub(crate) meters: &'a Meters,
    pub(crate) name: Name,
    /// The calls that this one is made inside of.
    pub(crate) outer: Option<Arc<Chain>>,
    /// How long it may take, with the wait for its turn; for ever where its callers could not be told.
    pub(crate) limit: Option<Duration>,
}

impl Origin {
    pub(crate) fn new(calls: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// Calls the function once.
    pub(crate) async fn call<V, E, F>(
        &self,
        call: Call<'_>,
        load: F,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        V: Send + 'static,
        E: Send + Sync + 'static,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let limit = call.limit;
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let end = |end, why| {
            call.meters.loaded(end);
            Err(LoadError::Interrupted(why))
        };
        // A call inside another has its turn already: to wait for a second one could be for ever.
        let turn = if call.outer.is_some() {
            None
        } else {
            let turn = Arc::clone(&self.turns).acquire_owned();
            let Some(turn) = by(until, turn).await else {
                return end(LoadEnd::Overload, Interrupted::Overloaded(limit.unwrap_or_default()));
            };
            turn.ok()
        };
        let chain = Arc::new(Chain { name: call.name, outer: call.outer });
        let mut task = tokio::spawn(CHAIN.scope(chain, load));
        let ended = by(until, &mut task).await;
        drop(turn);
        match ended {
            None => {
                task.abort();
                end(LoadEnd::Timeout, Interrupted::TimedOut(limit.unwrap_or_default()))
            }
            Some(Err(stopped)) => match stopped.try_into_panic() {
                Ok(panic) => end(LoadEnd::Panic, Interrupted::Panicked(message(&*panic))),
                Err(_) => end(LoadEnd::Error, Interrupted::ShutDown),
            },
            Some(Ok(Err(error))) => {
                call.meters.loaded(LoadEnd::Error);
                Err(LoadError::Failed(Arc::new(error)))
            }
            Some(Ok(Ok(loaded))) => {
                call.meters.loaded(LoadEnd::Ok);
                Ok(loaded)
            }
        }
    }
}

async fn by<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        None => Some(future.await),
        Some(until) => timeout_at(until, future).await.ok(),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
