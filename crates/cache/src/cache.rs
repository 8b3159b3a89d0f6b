//! The cache: looking a value up, calling the function for it, and forgetting it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::builder::Builder;
use crate::course::Course;
use crate::error::{BuildError, LoadError};
use crate::flight::{Flights, Place, landed};
use crate::function::Function;
use crate::key::{Key, Tag};
use crate::memory::{Borrowed, Entry, Memory, Name, TAGS};
use crate::origin::{self, Origin};
use crate::shared::{Layout, Link, LinkOptions, Listener, Shared};
use crate::telemetry::Outcome;
use crate::trace;

/// What can be cached: anything that serde reads and writes, and that callers can share.
pub trait Value: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Value for T {}

/// What a function answered: a value or that there is none, and how long that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<V> {
    pub(crate) value: Option<V>,
    pub(crate) ttl: Option<Duration>,
}

impl<V> Loaded<V> {
    /// A value with a time to live of its own, such as a token that says when it ends.
    pub fn with_ttl(value: Option<V>, ttl: Duration) -> Self {
        Self { value, ttl: Some(ttl) }
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        Self { value, ttl: None }
    }
}

/// Whether an invalidation has reached every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a pending invalidation has not reached other processes yet"]
pub enum Invalidated {
    /// It has, as far as Redis can tell them.
    Everywhere,
    /// Redis is away: this process has forgotten the value, the others will when Redis is back.
    Pending,
}

/// A cache for the answers of async functions. Clones share it.
///
/// See the [crate's documentation](crate) for what it promises.
#[derive(Clone)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) memory: Memory,
    pub(crate) flights: Arc<Flights>,
    pub(crate) origin: Origin,
    pub(crate) shared: Option<Shared>,
    /// How long a value that could not be stored in Redis is believed.
    pub(crate) alone_ttl: Duration,
    memory_bytes: Gauge,
    layout: Option<Layout>,
    born: Instant,
    closed: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("memory_bytes", &self.inner.memory.bytes())
            .finish_non_exhaustive()
    }
}

/// What an entry of the in-process level is good for.
enum Verdict {
    Fresh { refresh: bool },
    Stale { refresh: bool },
    Dead,
}

impl Cache {
    /// Starts to describe a cache. The namespace begins every key in Redis; a release that must not
    /// share with the one before takes another.
    pub fn builder(namespace: &str) -> Builder {
        Builder::new(namespace)
    }

    /// The value of `function` for `key`: from memory, from Redis, or by calling `load`.
    ///
    /// `load` is turned into a future at most once, and at most one such future per key runs at a
    /// time in this process (per lease, in all processes). It runs in a task of its own.
    ///
    /// # Errors
    ///
    /// The function's own, shared with all who waited for the same call, or why it gave no answer.
    /// Never an error of Redis.
    pub async fn get_or_load<V, E, F, L>(
        &self,
        function: &'static Function,
        key: Key,
        load: L,
    ) -> Result<Option<V>, LoadError<E>>
    where
        V: Value,
        E: Send + Sync + 'static,
        L: FnOnce() -> F + Send,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        self.get_or_load_tagged(function, key, Vec::new, load).await
    }

    /// Like [`get_or_load`](Self::get_or_load), for a value that [`invalidate_tag`](Self::invalidate_tag)
    /// of any of its tags forgets too. `tags` is called only on a miss; beyond 255 they are cut off.
    pub async fn get_or_load_tagged<V, E, F, L>(
        &self,
        function: &'static Function,
        key: Key,
        tags: impl FnOnce() -> Vec<Tag> + Send,
        load: L,
    ) -> Result<Option<V>, LoadError<E>>
    where
        V: Value,
        E: Send + Sync + 'static,
        L: FnOnce() -> F + Send,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        self.call(Request { function, key, interruptible: true }, tags, load).await
    }

    pub(crate) async fn call<V, E, F, L>(
        &self,
        request: Request,
        tags: impl FnOnce() -> Vec<Tag> + Send,
        load: L,
    ) -> Result<Option<V>, LoadError<E>>
    where
        V: Value,
        E: Send + Sync + 'static,
        L: FnOnce() -> F + Send,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let function = request.function;
        let id = function.id::<V>();
        let text = request.key.stored();
        let timed = function.meters().is_timed().then(Instant::now);
        if let Some((value, outcome, refresh)) =
            self.inner.look(function, Borrowed { function: id, text: &text })
        {
            if refresh {
                let name = Name { function: id, text: text.into() };
                self.inner.start(function, name, tags, load, request.interruptible, false);
            }
            let took = timed.map(|start| start.elapsed());
            match outcome {
                Outcome::Stale => function.meters().answered(outcome, took.unwrap_or_default()),
                _ => function.meters().memory_hit(took),
            }
            trace::note(function.name(), outcome);
            return Ok(value);
        }
        let name = Name { function: id, text: text.into() };
        self.inner.ask(function, name, tags, load, request.interruptible).await
    }

    /// Calls `load` now, whatever is stored, and stores its answer, unless it is invalidated
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`get_or_load`](Self::get_or_load).
    pub async fn refresh<V, E, F, L>(
        &self,
        function: &'static Function,
        key: Key,
        tags: impl FnOnce() -> Vec<Tag> + Send,
        load: L,
    ) -> Result<Option<V>, LoadError<E>>
    where
        V: Value,
        E: Send + Sync + 'static,
        L: FnOnce() -> F + Send,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let name = Name { function: function.id::<V>(), text: key.stored().into() };
        let start = Instant::now();
        let Some(waiting) = self.inner.start(function, name, tags, load, true, true) else {
            return Err(LoadError::Interrupted(crate::Interrupted::ShutDown));
        };
        let (value, outcome) = landed(waiting).await?;
        function.meters().answered(outcome, start.elapsed());
        Ok(Option::clone(&value))
    }

    /// Forgets the value of one call, in every process. Call it after the change it follows has
    /// been committed: whoever reads the old state before that may still store it.
    pub async fn invalidate<V: Value>(&self, function: &Function, key: Key) -> Invalidated {
        let name = Name { function: function.id::<V>(), text: key.stored().into() };
        let remote = self.inner.shared.as_ref().map(|s| s.layout.key(function.name(), &name));
        self.inner.forget(name, remote).await
    }

    /// Forgets every value that has the tag, in every process.
    pub async fn invalidate_tag(&self, tag: Tag) -> Invalidated {
        let text = tag.stored();
        let remote = self.inner.shared.as_ref().map(|shared| shared.layout.tag(&text));
        self.inner.forget(Name { function: TAGS, text: text.into() }, remote).await
    }

    /// Forgets everything in this cache's namespace, in every process.
    pub async fn clear(&self) -> Invalidated {
        self.inner.memory.clear(self.inner.now());
        self.inner.flights.all_changed();
        let Some(shared) = &self.inner.shared else { return Invalidated::Everywhere };
        let done = shared.link.remove_all().await;
        self.inner.memory.clear(self.inner.now());
        self.inner.flights.all_changed();
        if done { Invalidated::Everywhere } else { Invalidated::Pending }
    }

    /// Whether Redis answers; true where none is configured.
    pub fn is_whole(&self) -> bool {
        self.inner.shared.as_ref().is_none_or(|shared| shared.link.is_up())
    }

    /// Invalidations that wait for Redis to come back.
    pub fn pending_invalidations(&self) -> usize {
        self.inner.shared.as_ref().map_or(0, |shared| shared.link.pending())
    }

    /// Bytes of the in-process level.
    pub fn memory_bytes(&self) -> u64 {
        self.inner.memory.bytes()
    }

    /// Closes the connection to Redis. Calls from now on go to their functions.
    pub fn shut_down(&self) {
        self.inner.shut_down();
    }
}

/// One call, before its key is looked up.
pub(crate) struct Request {
    pub(crate) function: &'static Function,
    pub(crate) key: Key,
    /// Whether the caller can be told that the function was stopped.
    pub(crate) interruptible: bool,
}

impl Inner {
    pub(crate) fn new(
        memory: Memory,
        calls: usize,
        alone_ttl: Duration,
        redis: Option<(Layout, LinkOptions)>,
        memory_bytes: Gauge,
    ) -> Arc<Self> {
        Arc::new_cyclic(|inner: &std::sync::Weak<Self>| {
            let (layout, shared) = match redis {
                None => (None, None),
                Some((layout, options)) => {
                    let link = Link::new(options, inner.clone());
                    (Some(layout.clone()), Some(Shared::new(layout, link)))
                }
            };
            Self {
                memory,
                flights: Arc::new(Flights::new()),
                origin: Origin::new(calls),
                shared,
                alone_ttl,
                memory_bytes,
                layout,
                born: Instant::now(),
                closed: AtomicBool::new(false),
                tasks: Mutex::default(),
            }
        })
    }

    /// Milliseconds on the cache's own clock.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn meter_memory(&self) {
        self.memory_bytes.set(self.memory.bytes() as f64);
    }

    pub(crate) fn owns(&self, task: AbortHandle) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn shut_down(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(shared) = &self.shared {
            shared.link.close();
        }
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }

    /// The in-process level's answer, if it has one, and whether to fetch the value anew.
    fn look<V: Value>(
        &self,
        function: &Function,
        name: Borrowed<'_>,
    ) -> Option<(Option<V>, Outcome, bool)> {
        let entry = self.memory.get(name)?;
        let (outcome, refresh) = match self.judge(function, &entry) {
            Verdict::Fresh { refresh } => (Outcome::Memory, refresh),
            Verdict::Stale { refresh } => (Outcome::Stale, refresh),
            Verdict::Dead => return None,
        };
        let value = entry.value.downcast_ref::<Option<V>>()?;
        Some((value.clone(), outcome, refresh))
    }

    fn judge(&self, function: &Function, entry: &Entry) -> Verdict {
        let now = self.now();
        let refresh = now >= entry.refresh_at;
        if entry.period == self.memory.period() {
            return match entry {
                entry if now >= entry.served_until || !self.memory.tags_stand(entry) => {
                    Verdict::Dead
                }
                entry if now < entry.fresh_until => Verdict::Fresh { refresh },
                _ => Verdict::Stale { refresh },
            };
        }
        // Trust was lost since: good only as something stale, and only while Redis is away.
        let stale = u64::try_from(function.policy.stale.as_millis()).unwrap_or(u64::MAX);
        let limit = self.memory.distrusted_at().saturating_add(stale).min(entry.served_until);
        let away = self.shared.as_ref().is_some_and(|shared| !shared.link.is_up());
        match away && now < limit && self.memory.tags_stood(entry) {
            true => Verdict::Stale { refresh: true },
            false => Verdict::Dead,
        }
    }

    async fn ask<V, E, F>(
        self: &Arc<Self>,
        function: &'static Function,
        name: Name,
        tags: impl FnOnce() -> Vec<Tag> + Send,
        load: impl FnOnce() -> F + Send,
        interruptible: bool,
    ) -> Result<Option<V>, LoadError<E>>
    where
        V: Value,
        E: Send + Sync + 'static,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let start = Instant::now();
        if origin::is_inside(&name) || self.closed.load(Ordering::Acquire) {
            trace::note(function.name(), Outcome::Bypass);
            let loaded = load().await;
            return loaded.map(|l| l.value).map_err(|error| LoadError::Failed(Arc::new(error)));
        }
        let tags: Arc<[Box<str>]> = names(tags());
        let waiting = match self.flights.place(&name, &tags, false) {
            Place::Waits(waiting) => {
                function.meters().coalesced.increment(1);
                waiting
            }
            Place::Leads(ticket, sender, waiting) => {
                let inner = Arc::clone(self);
                let course = Course { inner, function, ticket, tags, interruptible, anew: false };
                tokio::spawn(course.run(sender, load(), origin::chain()));
                waiting
            }
        };
        let (value, outcome) = landed(waiting).await?;
        function.meters().answered(outcome, start.elapsed());
        trace::note(function.name(), outcome);
        Ok(Option::clone(&value))
    }

    /// Starts a flight in the background, unless one is under way and another is not asked for.
    fn start<V, E, F>(
        self: &Arc<Self>,
        function: &'static Function,
        name: Name,
        tags: impl FnOnce() -> Vec<Tag>,
        load: impl FnOnce() -> F,
        interruptible: bool,
        anew: bool,
    ) -> Option<crate::flight::Waiting<V, E>>
    where
        V: Value,
        E: Send + Sync + 'static,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let idle = anew || !self.flights.is_under_way(&name);
        if !idle || origin::is_inside(&name) || self.closed.load(Ordering::Acquire) {
            return None;
        }
        let tags: Arc<[Box<str>]> = names(tags());
        let Place::Leads(ticket, sender, waiting) = self.flights.place(&name, &tags, anew) else {
            return None;
        };
        let inner = Arc::clone(self);
        let course = Course { inner, function, ticket, tags, interruptible, anew };
        tokio::spawn(course.run(sender, load(), origin::chain()));
        Some(waiting)
    }

    async fn forget(&self, name: Name, remote: Option<String>) -> Invalidated {
        self.forget_here(&name);
        let (Some(shared), Some(key)) = (&self.shared, remote) else {
            return Invalidated::Everywhere;
        };
        let done = shared.remove(HashSet::from([key])).await;
        // Once more: a reader may have had the old value from Redis in between.
        self.forget_here(&name);
        if done { Invalidated::Everywhere } else { Invalidated::Pending }
    }

    fn forget_here(&self, name: &Name) {
        self.memory.invalidate(Borrowed { function: name.function, text: &name.text });
        if name.function == TAGS {
            self.flights.tag_changed(&name.text);
        } else {
            self.flights.changed(name);
        }
    }
}

fn names(tags: Vec<Tag>) -> Arc<[Box<str>]> {
    tags.into_iter().take(255).map(|tag| tag.stored().into_boxed_str()).collect()
}

impl Listener for Inner {
    fn changed(&self, key: &str) {
        if let Some(name) = self.layout.as_ref().and_then(|layout| layout.name(key)) {
            self.forget_here(&name);
        }
    }

    fn all_changed(&self) {
        self.memory.distrust(self.now());
        self.flights.all_changed();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Builder {
    pub(crate) fn runtime() -> Result<tokio::runtime::Handle, BuildError> {
        tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)
    }
}
