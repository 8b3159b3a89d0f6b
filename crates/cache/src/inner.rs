//! What a cache is made of, and the ways of a call through it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::Gauge;
use tokio::task::AbortHandle;

use crate::cache::{Invalidated, Loaded, Value};
use crate::clock::Clock;
use crate::course::Course;
use crate::error::LoadError;
use crate::flight::{Flights, Place, Waiting, answer_of, landed};
use crate::function::Function;
use crate::key::{Tag, Tags};
use crate::memory::{Borrowed, Entry, Memory, Name, TAGS};
use crate::origin::{self, Origin};
use crate::shared::{Layout, Link, LinkOptions, Listener, Shared};
use crate::telemetry::{Answer, Outcome};
use crate::trace;

pub(crate) struct Inner {
    pub(crate) memory: Memory,
    pub(crate) flights: Arc<Flights>,
    pub(crate) origin: Origin,
    pub(crate) shared: Option<Shared>,
    /// How long a value that could not be stored in Redis is believed.
    pub(crate) alone_ttl: Duration,
    memory_bytes: Gauge,
    layout: Option<Layout>,
    clock: Clock,
    closed: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// What an entry of the in-process level is good for.
enum Verdict {
    Fresh { refresh: bool },
    Stale { refresh: bool },
    Dead,
}

impl Inner {
    pub(crate) fn new(
        memory: Memory,
        calls: usize,
        alone_ttl: Duration,
        redis: Option<(Layout, LinkOptions)>,
        memory_bytes: Gauge,
        clock: Clock,
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
                clock,
                closed: AtomicBool::new(false),
                tasks: Mutex::default(),
            }
        })
    }

    /// Milliseconds on the cache's own clock.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn meter_memory(&self) {
        self.memory_bytes.set(self.memory.bytes() as f64);
    }

    pub(crate) fn owns(&self, task: AbortHandle) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    pub(crate) fn shut_down(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(shared) = &self.shared {
            shared.link.close();
        }
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }

    /// What `take` makes of the in-process level's answer, when it is fresh and calls for nothing else.
    ///
    /// `take` clones the value to where it is to stand: a move on the way costs as much as a lookup.
    #[inline]
    pub(crate) fn hit<V: Value, R>(
        &self,
        function: &Function,
        name: Borrowed<'_>,
        take: impl FnOnce(&Option<V>) -> R,
    ) -> Option<R> {
        let meters = function.meters();
        let timed = meters.is_timed().then(Instant::now);
        let entry = self.fresh(function, name)?;
        let taken = take(entry.value()?);
        meters.memory_hit();
        trace::note(function.name(), Outcome::Memory);
        if let Some(start) = timed {
            self.memory.touch_tags(&entry);
            meters.memory_hit_took(start.elapsed());
        }
        Some(taken)
    }

    fn fresh(&self, function: &Function, name: Borrowed<'_>) -> Option<Arc<Entry>> {
        let entry = self.memory.get(name)?;
        let fresh = matches!(self.judge(function, &entry), Verdict::Fresh { refresh: false });
        fresh.then_some(entry)
    }

    /// The in-process level's answer, if it has one, and whether to fetch the value anew.
    pub(crate) fn look<V: Value>(
        &self,
        function: &Function,
        name: Borrowed<'_>,
    ) -> Option<(Option<V>, Answer, bool)> {
        let entry = self.memory.get(name)?;
        let (answer, refresh) = match self.judge(function, &entry) {
            Verdict::Fresh { refresh } => (Answer::Memory, refresh),
            Verdict::Stale { refresh } => (Answer::StaleInMemory, refresh),
            Verdict::Dead => return None,
        };
        let value = entry.value::<V>()?;
        Some((value.clone(), answer, refresh))
    }

    #[inline]
    fn judge(&self, function: &Function, entry: &Entry) -> Verdict {
        let now = self.now();
        let refresh = now >= entry.refresh_at.load(Ordering::Relaxed);
        if entry.period == self.memory.period() {
            return match entry {
                entry if now >= entry.served_until || !entry.tags_stand() => Verdict::Dead,
                entry if now < entry.fresh_until => Verdict::Fresh { refresh },
                _ => Verdict::Stale { refresh },
            };
        }
        // Trust was lost since: good only as something stale, and only while Redis is away.
        let stale = u64::try_from(function.policy.stale.as_millis()).unwrap_or(u64::MAX);
        let limit = self.memory.distrusted_at().saturating_add(stale).min(entry.served_until);
        let away = self.shared.as_ref().is_some_and(|shared| !shared.link.is_up());
        if away && now < limit && entry.tags_stood() {
            Verdict::Stale { refresh: true }
        } else {
            Verdict::Dead
        }
    }

    fn course(
        self: &Arc<Self>,
        function: &'static Function,
        name: Name,
        tags: &Tags,
        interruptible: bool,
    ) -> Course {
        Course {
            inner: Arc::clone(self),
            function,
            name,
            ticket: None,
            tags: tags.clone(),
            interruptible,
            anew: false,
            glanced: None,
        }
    }

    pub(crate) async fn ask<V, E, F>(
        self: &Arc<Self>,
        start: Instant,
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
        if origin::is_inside(&name) || self.closed.load(Ordering::Acquire) {
            trace::note(function.name(), Outcome::Bypass);
            // Boxed too: where it was to stand here, each call would have room for it.
            let loaded = Box::pin(load()).await;
            return loaded.map(|l| l.value).map_err(|error| LoadError::Failed(Arc::new(error)));
        }
        let tags = Tags::new(tags());
        let mut course = self.course(function, name, &tags, interruptible);
        if !self.flights.is_under_way(&course.name)
            && let Some(value) = course.glance::<V>(start).await
        {
            function.meters().answered(Answer::Redis, start.elapsed());
            trace::note(function.name(), Outcome::Redis);
            return Ok(value);
        }
        let waiting = match self.flights.place(&course.name, &tags, false) {
            Place::Waits(waiting) => {
                function.meters().coalesced.increment(1);
                waiting
            }
            Place::Leads(ticket, sender, waiting) => {
                course.ticket = Some(ticket);
                tokio::spawn(course.run(sender, load(), origin::chain()));
                waiting
            }
        };
        let landed = landed(waiting).await;
        let answer = answer_of(&landed);
        function.meters().answered(answer, start.elapsed());
        trace::note(function.name(), answer.outcome());
        landed.map(|(value, _)| Option::clone(&value))
    }

    /// Starts a flight in the background, unless one is under way and another is not asked for.
    pub(crate) fn start<V, E, F>(
        self: &Arc<Self>,
        function: &'static Function,
        name: &Name,
        tags: impl FnOnce() -> Vec<Tag>,
        load: impl FnOnce() -> F,
        interruptible: bool,
        anew: bool,
    ) -> Option<Waiting<V, E>>
    where
        V: Value,
        E: Send + Sync + 'static,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let idle = anew || !self.flights.is_under_way(name);
        if !idle || origin::is_inside(name) || self.closed.load(Ordering::Acquire) {
            return None;
        }
        let tags = Tags::new(tags());
        let Place::Leads(ticket, sender, waiting) = self.flights.place(name, &tags, anew) else {
            return None;
        };
        let mut course = self.course(function, name.clone(), &tags, interruptible);
        (course.ticket, course.anew) = (Some(ticket), anew);
        tokio::spawn(course.run(sender, load(), origin::chain()));
        Some(waiting)
    }

    /// Forgets a key here and in Redis. Once polled it goes on to its end, whether or not anybody
    /// waits for it: the change that it follows has been made, and nobody would ask again.
    pub(crate) async fn forget(
        self: &Arc<Self>,
        name: Name,
        remote: Option<String>,
    ) -> Invalidated {
        self.forget_here(&name);
        let Some(key) = remote.filter(|_| self.shared.is_some()) else {
            return Invalidated::Everywhere;
        };
        let inner = Arc::clone(self);
        to_its_end(async move {
            let Some(shared) = &inner.shared else { return true };
            let done = shared.link.remove(HashSet::from([key])).await;
            // Once more: a reader may have had the old value from Redis in between.
            inner.forget_here(&name);
            done
        })
        .await
    }

    /// Forgets everything, to the end as [`forget`](Self::forget) does.
    pub(crate) async fn forget_all(self: &Arc<Self>) -> Invalidated {
        self.forget_all_here();
        if self.shared.is_none() {
            return Invalidated::Everywhere;
        }
        let inner = Arc::clone(self);
        to_its_end(async move {
            let Some(shared) = &inner.shared else { return true };
            let done = shared.link.remove_all().await;
            inner.forget_all_here();
            done
        })
        .await
    }

    fn forget_all_here(&self) {
        self.memory.clear(self.now());
        self.flights.all_changed();
    }

    fn forget_here(&self, name: &Name) {
        self.memory.invalidate(name.borrowed());
        if name.function == TAGS {
            self.flights.tag_changed(&name.text);
        } else {
            self.flights.changed(name);
        }
    }
}

/// In a task of its own, which goes on when whoever waits for it goes away.
async fn to_its_end(removal: impl Future<Output = bool> + Send + 'static) -> Invalidated {
    match tokio::spawn(removal).await {
        Ok(true) => Invalidated::Everywhere,
        // An error is the end of the runtime, and of the connection with it.
        Ok(false) | Err(_) => Invalidated::Pending,
    }
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
