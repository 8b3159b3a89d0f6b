//! The course of one flight: ask Redis, take the lease or wait for its holder, call the function,
//! store what it said unless it was invalidated meanwhile.

mod storing;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{self, timeout_at};

use crate::cache::{Loaded, Value};
use crate::clock;
use crate::envelope::{self, Envelope, Found, HEADER, Version};
use crate::error::LoadError;
use crate::flight::{Landed, Ticket};
use crate::function::Function;
use crate::inner::Inner;
use crate::key::Tags;
use crate::memory::{Before, Borrowed, Name};
use crate::origin::{Call, Chain};
use crate::shared::{Read, Shared};
use crate::telemetry::Answer;

/// A holder of a lease that died says nothing: waiters look again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A background refresh that failed is not tried again for this long.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Course {
    pub(crate) inner: Arc<Inner>,
    pub(crate) function: &'static Function,
    pub(crate) name: Name,
    /// Absent for a glance at Redis that may become a flight.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) tags: Tags,
    pub(crate) interruptible: bool,
    /// Call the function whatever is stored.
    pub(crate) anew: bool,
    /// What the glance saw.
    pub(crate) glanced: Option<(Sampled, Read)>,
}

/// The state of a key and its tags in this process, before they were read.
pub(crate) struct Sampled {
    key: Before,
    tags: Vec<Before>,
}

/// What was found before the function is called.
enum Reached<V> {
    Fresh(Arc<Option<V>>),
    /// Past its time; to be fetched anew, if the right to do so can be had.
    Stale {
        value: Arc<Option<V>>,
        held: Held,
    },
    /// The function is to be called and what is `held` in Redis replaced.
    Held(Held),
    /// The function is to be called and its answer kept in this process alone.
    Alone,
}

/// What a commit must find in Redis.
struct Held {
    header: [u8; HEADER],
    tags: Vec<Version>,
}

impl Drop for Course {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.inner.flights.end(ticket);
            self.inner.flights.wake(&ticket.name);
        }
    }
}

impl Course {
    /// Looks into Redis without a flight: a caller that goes away while it reads harms nobody.
    /// What it saw is kept for the flight that follows when that was no fresh value.
    pub(crate) async fn glance<V: Value>(&mut self, began: Instant) -> Option<Option<V>> {
        let shared = self.inner.shared.as_ref()?;
        let key = shared.layout.key(self.function.name(), &self.name);
        let before = self.sample();
        let read = shared.read(&key, &self.remote_tags(shared), began).await.ok()?;
        // Anything else the flight judges.
        let now = clock::coarse_wall_ms();
        if let Some(Found::Value(envelope)) = read.bytes.as_deref().map(envelope::decode)
            && envelope.times.are_fresh(now)
            && read.stand(&envelope.tags)
            && let Ok(value) = envelope.payload.map(postcard::from_bytes::<V>).transpose()
        {
            if !self.inner.memory.is_on() {
                return Some(value);
            }
            let value = Arc::new(value);
            self.keep(&value, envelope.times, now, &envelope.tags, &before);
            return Some(Option::clone(&value));
        }
        self.glanced = Some((before, read));
        None
    }

    pub(crate) async fn run<V, E, F>(
        mut self,
        sender: watch::Sender<Option<Landed<V, E>>>,
        load: F,
        outer: Option<Arc<Chain>>,
    ) where
        V: Value,
        E: Send + Sync + 'static,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let (key, reached) = match &inner.shared {
            Some(shared) => {
                let key = shared.layout.key(self.function.name(), &self.name);
                let reached = self.reach(shared, &key).await;
                (key, reached)
            }
            None => (String::new(), Reached::Alone),
        };
        let (held, landed) = match reached {
            Reached::Fresh(value) => {
                sender.send_replace(Some(Ok((value, Answer::Redis))));
                return;
            }
            Reached::Stale { value, held } => {
                sender.send_replace(Some(Ok((value, Answer::StaleInRedis))));
                if !self.may_refresh(&key, &held).await {
                    return;
                }
                (Some(held), true)
            }
            Reached::Held(held) => (Some(held), false),
            Reached::Alone => (None, false),
        };
        let before = self.sample();
        let own_tags = self.own_tags(&before);
        let call = Call {
            meters: self.function.meters(),
            name: self.name.clone(),
            outer,
            limit: self.interruptible.then_some(self.function.policy.timeout),
        };
        let ended = match self.inner.origin.call(call, load).await {
            Ok(loaded) => Ok(self.store(&key, loaded, held, &before, own_tags).await),
            Err(error) => {
                self.give_up(&key, held).await;
                Err(error)
            }
        };
        if !landed {
            let answer: Result<Arc<Option<V>>, LoadError<E>> = ended;
            sender.send_replace(Some(answer.map(|value| (value, Answer::Miss))));
        }
    }

    /// Asks Redis until there is a value, a lease, or no use in asking.
    async fn reach<V: Value>(&mut self, shared: &Shared, key: &str) -> Reached<V> {
        let tags = self.remote_tags(shared);
        let give_up = time::Instant::now() + self.function.policy.lease();
        let mut watch = None;
        loop {
            let (before, read) = match self.glanced.take() {
                Some(glanced) => glanced,
                None => {
                    let before = self.sample();
                    let read = shared.read(key, &tags, Instant::now()).await;
                    let Ok(read) = read else { return Reached::Alone };
                    (before, read)
                }
            };
            let bytes = read.bytes.as_deref().unwrap_or_default();
            let outdated = match envelope::decode(bytes) {
                Found::Lease => {
                    // Woken by the push that its holder's commit causes. The first time, look again:
                    // the push may have come before anyone listened.
                    match &watch {
                        None => watch = Some(self.inner.flights.watch(&self.name)),
                        Some(watch) => {
                            let look = give_up.min(time::Instant::now() + LOOK_AGAIN);
                            let woken = timeout_at(look, watch.woken()).await.is_ok();
                            if !woken && time::Instant::now() >= give_up {
                                return Reached::Alone;
                            }
                        }
                    }
                    continue;
                }
                Found::Value(envelope) => {
                    match self.judge(&envelope, read.stand(&envelope.tags), &before) {
                        Some(reached) => return reached,
                        None => envelope.header.to_vec(),
                    }
                }
                Found::Foreign => {
                    if !bytes.is_empty() {
                        self.function.meters().undecodable.increment(1);
                    }
                    bytes.get(..HEADER).unwrap_or(bytes).to_vec()
                }
            };
            let policy = &self.function.policy;
            match shared.acquire(key, &tags, &outdated, policy.lease(), self.tag_ttl()).await {
                Ok(Some(lease)) => {
                    return Reached::Held(Held { header: lease.header, tags: lease.tags });
                }
                Ok(None) => {} // somebody was faster
                Err(_) => return Reached::Alone,
            }
        }
    }

    /// What a value found in Redis is good for; nothing when it must be replaced.
    fn judge<V: Value>(
        &self,
        envelope: &Envelope<'_>,
        tags_stand: bool,
        before: &Sampled,
    ) -> Option<Reached<V>> {
        let now = clock::coarse_wall_ms();
        if !tags_stand || now >= envelope.times.served_until {
            return None;
        }
        let held = Held { header: envelope.header, tags: envelope.tags.clone() };
        if self.anew {
            return Some(Reached::Held(held));
        }
        let decoded = envelope.payload.map(postcard::from_bytes::<V>).transpose();
        let Ok(value) = decoded else {
            self.function.meters().undecodable.increment(1);
            return None;
        };
        let value = Arc::new(value);
        self.keep(&value, envelope.times, now, &envelope.tags, before);
        Some(if envelope.times.are_fresh(now) {
            Reached::Fresh(value)
        } else {
            Reached::Stale { value, held }
        })
    }

    async fn may_refresh(&self, key: &str, held: &Held) -> bool {
        let Some(shared) = &self.inner.shared else { return false };
        let lease = self.function.policy.lease();
        shared.may_refresh(key, held.header, lease).await.unwrap_or(false)
    }

    /// After a failed call: gives back what was held, and lets what is stale be served in peace.
    async fn give_up(&self, key: &str, held: Option<Held>) {
        if let Some(entry) = self.inner.memory.get(self.name.borrowed()) {
            let pause = u64::try_from(RETRY.as_millis()).unwrap_or(u64::MAX);
            let later = self.inner.now().saturating_add(pause);
            entry.refresh_at.store(later, Ordering::Relaxed);
        }
        if let (Some(held), Some(shared)) = (held, &self.inner.shared) {
            if self.anew && envelope::decode(&held.header) != Found::Lease {
                return; // a value stands there, and stays
            }
            shared.release(key, held.header).await;
        }
    }

    fn sample(&self) -> Sampled {
        let memory = &self.inner.memory;
        Sampled {
            key: memory.before(self.name.borrowed()),
            tags: self.tags.iter().map(|tag| memory.before(Borrowed::tag(tag))).collect(),
        }
    }

    /// The tags' versions as this process knows them, new ones where it knows none.
    fn own_tags(&self, before: &Sampled) -> Vec<Version> {
        let known = |tag: &str, before: Before| {
            self.inner.memory.tag(tag).unwrap_or_else(|| {
                let version = envelope::new_version();
                let _ = self.inner.memory.put_tag(tag, version, before);
                version
            })
        };
        self.tags.iter().zip(&before.tags).map(|(tag, before)| known(tag, *before)).collect()
    }

    fn remote_tags(&self, shared: &Shared) -> Vec<String> {
        self.tags.iter().map(|tag| shared.layout.tag(tag)).collect()
    }

    /// Tags live longer than any value that has them could.
    fn tag_ttl(&self) -> Duration {
        let policy = &self.function.policy;
        policy.ttl.saturating_add(policy.stale).saturating_add(policy.lease())
    }
}
