//! The cache: looking a value up, calling the function for it, and forgetting it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::Builder;
use crate::clock::Clock;
use crate::error::{Interrupted, LoadError};
use crate::flight::{Waiting, answer_of, landed};
use crate::function::Function;
use crate::inner::Inner;
use crate::key::{Key, Tag};
use crate::memory::{Borrowed, Memory, Name, TAGS};
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pinchpoint_cache::BuildError> {
/// use pinchpoint_cache::{Cache, cached};
///
/// #[cached(cache = cache, key = "square:{n}", ttl = "1h")]
/// async fn square(cache: &Cache, n: u64) -> Option<u64> {
///     n.checked_mul(n)
/// }
///
/// let cache = Cache::builder("numbers").build().await?;
/// assert_eq!(square(&cache, 12).await, Some(144));
/// assert!(cache.memory_bytes() > 0);
/// cache.shut_down(); // calls from now on go to their functions
/// assert_eq!(square(&cache, 12).await, Some(144));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("memory_bytes", &self.inner.memory.bytes())
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Starts to describe a cache. The namespace begins every key in Redis; a release that must not
    /// share with the one before takes another.
    pub fn builder(namespace: &str) -> Builder {
        Builder::new(namespace)
    }

    /// A cache that is switched off: every call goes to its function, as after
    /// [`shut_down`](Self::shut_down). For measuring what a cache gives.
    pub fn off() -> Self {
        let memory = Memory::new(0, Counter::noop());
        let inner = Inner::new(memory, 1, Duration::ZERO, None, Gauge::noop(), Clock::Coarse);
        inner.shut_down();
        Self { inner }
    }

    /// What `take` makes of a fresh value from memory: all that most calls of a warm cache need.
    #[inline]
    pub(crate) fn hit<V: Value, R>(
        &self,
        function: &Function,
        key: &Key,
        take: impl FnOnce(&Option<V>) -> R,
    ) -> Option<R> {
        let text = key.short()?;
        self.inner.hit(function, Borrowed { function: function.id::<V>(), text }, take)
    }

    /// The value of `function` for `key`: from memory, from Redis, or by calling `load`.
    ///
    /// `load` is turned into a future at most once, and at most one such future per key runs at a
    /// time in this process (per lease, in all processes). It runs in a task of its own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use pinchpoint_cache::{Cache, Function, Policy, key};
    /// use std::time::Duration;
    /// static PROFILE: Function = Function::new("profile", Policy::new(Duration::from_secs(300)));
    ///
    /// let cache = Cache::builder("shop").build().await?;
    /// let id = 7;
    /// let query = move || async move { Ok::<_, std::io::Error>(Some(format!("user {id}")).into()) };
    /// let profile = cache.get_or_load(&PROFILE, key!("user:{id}"), query).await?;
    /// assert_eq!(profile.as_deref(), Some("user 7"));
    /// let never = || async { unreachable!("it is in memory") };
    /// let again: Result<_, pinchpoint_cache::LoadError<std::io::Error>> =
    ///     cache.get_or_load(&PROFILE, key!("user:{id}"), never).await;
    /// assert_eq!(again?, profile);
    /// # Ok(()) }
    /// ```
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
        if let Some(value) = self.hit(function, &key, Option::clone) {
            return Ok(value);
        }
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
        let key = request.key.stored();
        let text = key.as_str();
        let start = Instant::now();
        if let Some((value, answer, refresh)) =
            self.inner.look(function, Borrowed { function: id, text: text.as_bytes() })
        {
            if refresh {
                let name = Name { function: id, text: text.into() };
                // Whoever calls has a value already: nobody waits for this one.
                let _: Option<Waiting<V, E>> =
                    self.inner.start(function, &name, tags, load, request.interruptible, false);
            }
            function.meters().answered(answer, start.elapsed());
            trace::note(function.name(), answer.outcome());
            return Ok(value);
        }
        let name = Name { function: id, text: text.into() };
        // Boxed, so that the future of a hit stays small.
        Box::pin(self.inner.ask(start, function, name, tags, load, request.interruptible)).await
    }

    /// Calls `load` now, whatever is stored, and stores its answer, unless it is invalidated
    /// meanwhile.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use pinchpoint_cache::{Cache, Function, LoadError, Policy, key};
    /// # use std::time::Duration;
    /// # static RATE: Function = Function::new("rate", Policy::new(Duration::from_secs(300)));
    /// # type Answer = Result<Option<u8>, LoadError<std::io::Error>>;
    /// let cache = Cache::builder("shop").build().await?;
    /// let old: Answer = cache.get_or_load(&RATE, key!("eur"), || async { Ok(Some(1).into()) }).await;
    /// let new: Answer = cache.refresh(&RATE, key!("eur"), Vec::new, || async { Ok(Some(2).into()) }).await;
    /// let now: Answer = cache.get_or_load(&RATE, key!("eur"), || async { unreachable!() }).await;
    /// assert_eq!((old?, new?, now?), (Some(1), Some(2), Some(2)));
    /// # Ok(()) }
    /// ```
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
        let name = Name { function: function.id::<V>(), text: key.stored().as_str().into() };
        let start = Instant::now();
        let Some(waiting) = self.inner.start(function, &name, tags, load, true, true) else {
            return Err(LoadError::Interrupted(Interrupted::ShutDown));
        };
        let landed = landed(waiting).await;
        function.meters().answered(answer_of(&landed), start.elapsed());
        landed.map(|(value, _)| Option::clone(&value))
    }

    /// Forgets the value of one call, in every process. Call it after the change it follows has
    /// been committed: whoever reads the old state before that may still store it.
    ///
    /// It happens in a task of its own: a caller that goes away while it waits does not stop it.
    pub async fn invalidate<V: Value>(&self, function: &Function, key: Key) -> Invalidated {
        let name = Name { function: function.id::<V>(), text: key.stored().as_str().into() };
        let remote = self.inner.shared.as_ref().map(|s| s.layout.key(function.name(), &name));
        self.inner.forget(name, remote).await
    }

    /// Forgets every value that has the tag, in every process; a caller that goes away does not stop it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use pinchpoint_cache::{Cache, Function, Interrupted, Invalidated, Outcome, Policy, cached, key, trace};
    /// #[cached(cache = cache, key = "page:{number}", ttl = "1h", tags = ["posts"])]
    /// async fn page(cache: &Cache, number: u32) -> Option<Vec<u32>> {
    ///     Some(vec![number])
    /// }
    ///
    /// let cache = Cache::builder("blog").build().await?;
    /// let (first, second) = (page(&cache, 1).await, page(&cache, 2).await);
    /// // A post was written, and may be on any page.
    /// assert_eq!(cache.invalidate_tag(key!("posts")).await, Invalidated::Everywhere);
    /// assert_eq!(trace(page(&cache, 1)).await.1, [("page", Outcome::Miss)]);
    /// # drop((first, second)); Ok(()) }
    /// ```
    pub async fn invalidate_tag(&self, tag: Tag) -> Invalidated {
        let tag = tag.stored();
        let text = tag.as_str();
        let remote = self.inner.shared.as_ref().map(|shared| shared.layout.tag(text));
        self.inner.forget(Name { function: TAGS, text: text.into() }, remote).await
    }

    /// Forgets everything in this cache's namespace, in every process; a caller that goes away does not
    /// stop it.
    pub async fn clear(&self) -> Invalidated {
        self.inner.forget_all().await
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
