//! One call under way for each key, and all who wait for it.

use std::any::Any;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::DefaultHashBuilder;
use tokio::sync::{Notify, watch};

use crate::error::{Interrupted, LoadError};
use crate::key::Tags;
use crate::memory::Name;
use crate::telemetry::Answer;

const SHARDS: usize = 32;

/// How a flight ended, for each of those that waited.
pub(crate) type Landed<V, E> = Result<(Arc<Option<V>>, Answer), LoadError<E>>;
pub(crate) type Waiting<V, E> = watch::Receiver<Option<Landed<V, E>>>;

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::Interrupted(why) => Self::Interrupted(why.clone()),
        }
    }
}

struct Flight {
    id: u64,
    /// A [`Waiting`] of the function's types.
    waiting: Arc<dyn Any + Send + Sync>,
    tags: Tags,
}

#[derive(Default)]
struct Shard {
    flights: HashMap<Name, Flight, DefaultHashBuilder>,
    /// Who wants to know when a key changes in Redis: flights that found another's lease.
    wakers: HashMap<Name, Vec<Arc<Notify>>>,
}

/// All flights of a cache, by key.
pub(crate) struct Flights {
    shards: Box<[Mutex<Shard>]>,
    hasher: DefaultHashBuilder,
    next: AtomicU64,
}

/// The place of a caller: with those who wait, or at the head of a flight to be made.
pub(crate) enum Place<V, E> {
    Waits(Waiting<V, E>),
    Leads(Ticket, watch::Sender<Option<Landed<V, E>>>, Waiting<V, E>),
}

/// Names a flight; it leaves the table when its own is given back.
pub(crate) struct Ticket {
    pub(crate) name: Name,
    id: u64,
}

impl Flights {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: DefaultHashBuilder::default(), next: AtomicU64::new(0) }
    }

    pub(crate) fn is_under_way(&self, name: &Name) -> bool {
        self.shard(name).flights.contains_key(name)
    }

    /// Joins the flight for `name`, or becomes the head of a new one. With `anew`, one under way is
    /// left to those who wait for it already.
    pub(crate) fn place<V, E>(&self, name: &Name, tags: &Tags, anew: bool) -> Place<V, E>
    where
        V: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let mut shard = self.shard(name);
        if let Some(flight) = shard.flights.get(name).filter(|_| !anew)
            // Of other types only when two functions share a name; then each goes alone.
            && let Some(waiting) = flight.waiting.downcast_ref::<Waiting<V, E>>()
        {
            return Place::Waits(waiting.clone());
        }
        let (sender, waiting) = watch::channel(None);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let flight = Flight { id, waiting: Arc::new(waiting.clone()), tags: tags.clone() };
        shard.flights.insert(name.clone(), flight);
        Place::Leads(Ticket { name: name.clone(), id }, sender, waiting)
    }

    pub(crate) fn end(&self, ticket: &Ticket) {
        let mut shard = self.shard(&ticket.name);
        if shard.flights.get(&ticket.name).is_some_and(|flight| flight.id == ticket.id) {
            shard.flights.remove(&ticket.name);
        }
    }

    /// The key changed: whoever calls from now on must not join a flight that began before, and
    /// whoever waits for the key in Redis should look again.
    pub(crate) fn changed(&self, name: &Name) {
        let mut shard = self.shard(name);
        shard.flights.remove(name);
        for waker in shard.wakers.get(name).into_iter().flatten() {
            waker.notify_one();
        }
    }

    /// This process itself changed the key in Redis, which does not tell it so.
    pub(crate) fn wake(&self, name: &Name) {
        for waker in self.shard(name).wakers.get(name).into_iter().flatten() {
            waker.notify_one();
        }
    }

    /// A tag changed, and with it every key that has it.
    pub(crate) fn tag_changed(&self, tag: &str) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.flights.retain(|_, flight| flight.tags.iter().all(|own| **own != *tag));
        }
    }

    /// Any key may have changed.
    pub(crate) fn all_changed(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.flights.clear();
            shard.wakers.values().flatten().for_each(|waker| waker.notify_one());
        }
    }

    /// Asks to be woken when the key changes in Redis, until dropped.
    pub(crate) fn watch(self: &Arc<Self>, name: &Name) -> Watch {
        let notify = Arc::new(Notify::new());
        self.shard(name).wakers.entry(name.clone()).or_default().push(Arc::clone(&notify));
        Watch { flights: Arc::clone(self), name: name.clone(), notify }
    }

    fn shard(&self, name: &Name) -> MutexGuard<'_, Shard> {
        let shard = (self.hasher.hash_one(name) % SHARDS as u64) as usize;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Watch {
    flights: Arc<Flights>,
    name: Name,
    notify: Arc<Notify>,
}

impl Watch {
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(&self.name);
        if let Some(wakers) = shard.wakers.get_mut(&self.name) {
            wakers.retain(|waker| !Arc::ptr_eq(waker, &self.notify));
            if wakers.is_empty() {
                shard.wakers.remove(&self.name);
            }
        }
    }
}

/// Waits until the flight lands.
pub(crate) async fn landed<V, E>(mut waiting: Waiting<V, E>) -> Landed<V, E> {
    let landed = match waiting.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone(),
        Err(_) => None,
    };
    // A flight that is gone without landing: its runtime is ending.
    landed.unwrap_or(Err(LoadError::Interrupted(Interrupted::ShutDown)))
}

/// How a lookup is counted. Where the function was called and failed, nothing was found: a miss too.
pub(crate) fn answer_of<V, E>(landed: &Landed<V, E>) -> Answer {
    landed.as_ref().map_or(Answer::Miss, |(_, answer)| *answer)
}
