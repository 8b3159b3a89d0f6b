//! The in-process level: decoded values, bounded by bytes, with the guards that keep what was read
//! before an invalidation from being stored after it.

use std::any::Any;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::Counter;
use quick_cache::sync::Cache as Store;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, Weighter};

use crate::envelope::Version;
use crate::weigh::allocation;

/// A place in the store: in its list, which has room to grow, and in its index.
const PLACE: u64 = 112;
/// Each holds the number of invalidations of the keys that fall on it.
const SLOTS: usize = 256;

/// A key of this level: the function (or [`TAGS`]) and what its arguments came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) function: u64,
    pub(crate) text: Box<str>,
}

/// Stands for the function in the names of tags.
pub(crate) const TAGS: u64 = 0;

impl Name {
    pub(crate) fn borrowed(&self) -> Borrowed<'_> {
        Borrowed { function: self.function, text: self.text.as_bytes() }
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

/// A name that is only looked up: its text need not be known to be text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Borrowed<'a> {
    pub(crate) function: u64,
    pub(crate) text: &'a [u8],
}

impl<'a> Borrowed<'a> {
    pub(crate) fn tag(tag: &'a str) -> Self {
        Self { function: TAGS, text: tag.as_bytes() }
    }
}

impl Hash for Borrowed<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.function);
        state.write(self.text);
    }
}

impl Equivalent<Name> for Borrowed<'_> {
    #[inline]
    fn equivalent(&self, name: &Name) -> bool {
        self.function == name.function && *self.text == *name.text.as_bytes()
    }
}

/// A tag as it stood when it was fetched. Values hold on to it, so that whether their tags still
/// stand is one load for each and no lookup; this level ends it when it changes or is let go.
pub(crate) struct TagState {
    name: Box<str>,
    version: Version,
    /// The period of trust in which it was last known to stand; [`ENDED`] when it no longer does.
    period: AtomicU64,
}

/// No period of trust: they count from 1.
const ENDED: u64 = 0;

impl TagState {
    fn period(&self) -> u64 {
        self.period.load(Ordering::Acquire)
    }

    /// Says that it stands in `period`, unless it has ended.
    fn renew(&self, period: u64) -> bool {
        let renewed = |now| (now != ENDED).then_some(period);
        self.period.fetch_update(Ordering::AcqRel, Ordering::Acquire, renewed).is_ok()
    }

    fn end(&self) {
        self.period.store(ENDED, Ordering::Release);
    }
}

/// A value of this level, in one piece with what is known of it: a hit reads one place in memory. Times
/// are in ms on the cache's own clock.
pub(crate) struct Entry<T: ?Sized = dyn Any + Send + Sync> {
    pub(crate) fresh_until: u64,
    pub(crate) served_until: u64,
    pub(crate) refresh_at: AtomicU64,
    /// Which period of trust it was stored in: a lost connection to Redis ends one.
    pub(crate) period: u64,
    pub(crate) tags: Box<[Arc<TagState>]>,
    /// What the value owns takes, beside the entry.
    pub(crate) bytes: u32,
    /// `Option<V>` of the function's `V`.
    pub(crate) value: T,
}

impl Entry {
    /// The value, or that there is none; nothing when it is of another type.
    #[inline]
    pub(crate) fn value<V: 'static>(&self) -> Option<&Option<V>> {
        self.value.downcast_ref()
    }

    /// Whether every tag is known to stand as it stood when the value was fetched.
    #[inline]
    pub(crate) fn tags_stand(&self) -> bool {
        self.tags.iter().all(|tag| tag.period() == self.period)
    }

    /// Whether no tag is known to have changed in this process: all that can be said of a value
    /// from before trust was lost.
    pub(crate) fn tags_stood(&self) -> bool {
        self.tags.iter().all(|tag| tag.period() != ENDED)
    }
}

#[derive(Clone)]
enum Kept {
    Value(Arc<Entry>),
    Tag(Arc<TagState>),
}

impl Kept {
    /// It leaves this level: nobody would learn of a change of a tag that is not kept.
    fn let_go(&self) {
        if let Self::Tag(tag) = self {
            tag.end();
        }
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Name, Kept> for Weigh {
    fn weight(&self, name: &Name, kept: &Kept) -> u64 {
        let bytes = match kept {
            Kept::Value(entry) => {
                shared(size_of_val(&**entry))
                    + allocation(size_of_val(&*entry.tags) as u64)
                    + u64::from(entry.bytes)
            }
            Kept::Tag(tag) => shared(size_of::<TagState>()) + allocation(tag.name.len() as u64),
        };
        PLACE + allocation(name.text.len() as u64) + bytes
    }
}

/// What an `Arc` of so many bytes takes, with its two counts.
fn shared(bytes: usize) -> u64 {
    allocation(16 + bytes as u64)
}

#[derive(Clone)]
struct CountEvictions(Counter);

impl Lifecycle<Name, Kept> for CountEvictions {
    type RequestState = ();

    // Not called for a value that another one of the same name replaces, as `on_evict` is.
    fn before_evict(&self, (): &mut (), _: &Name, kept: &mut Kept) {
        if matches!(kept, Kept::Value(_)) {
            self.0.increment(1);
        }
    }

    fn on_evict(&self, (): &mut (), _: Name, kept: Kept) {
        kept.let_go();
    }
}

/// The state of a key before it was read: what is stored under it must not have been invalidated
/// since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    slot: usize,
    count: u64,
    period: u64,
}

pub(crate) struct Memory {
    store: Option<Store<Name, Kept, Weigh, DefaultHashBuilder, CountEvictions>>,
    hasher: DefaultHashBuilder,
    slots: Box<[Mutex<u64>]>,
    period: AtomicU64,
    /// When the last period ended, in ms on the cache's clock.
    distrusted_at: AtomicU64,
}

impl Memory {
    /// A level of `bytes`; one of 0 keeps nothing, and still tells what was invalidated.
    pub(crate) fn new(bytes: u64, evictions: Counter) -> Self {
        let hasher = DefaultHashBuilder::default();
        let typical = usize::try_from(bytes / 512).unwrap_or(usize::MAX).clamp(16, 1 << 22);
        let store = (bytes > 0).then(|| {
            let lifecycle = CountEvictions(evictions);
            Store::with(typical, bytes, Weigh, hasher.clone(), lifecycle)
        });
        let slots = (0..SLOTS).map(|_| Mutex::new(0)).collect();
        let (period, distrusted_at) = (AtomicU64::new(1), AtomicU64::new(0));
        Self { store, hasher, slots, period, distrusted_at }
    }

    /// Whether anything is kept at all.
    pub(crate) fn is_on(&self) -> bool {
        self.store.is_some()
    }

    #[inline]
    pub(crate) fn get(&self, name: Borrowed<'_>) -> Option<Arc<Entry>> {
        match self.store.as_ref()?.get(&name)? {
            Kept::Value(entry) => Some(entry),
            Kept::Tag(_) => None,
        }
    }

    /// Tells the store that the tags of a value are in use: else they would be evicted before it,
    /// and the value with them.
    pub(crate) fn touch_tags(&self, entry: &Entry) {
        for tag in &entry.tags {
            let _ = self.kept_tag(&tag.name);
        }
    }

    pub(crate) fn tag(&self, tag: &str) -> Option<Version> {
        let tag = self.kept_tag(tag)?;
        (tag.period() == self.period()).then_some(tag.version)
    }

    fn kept_tag(&self, tag: &str) -> Option<Arc<TagState>> {
        match self.store.as_ref()?.get(&Borrowed::tag(tag))? {
            Kept::Tag(tag) => Some(tag),
            Kept::Value(_) => None,
        }
    }

    pub(crate) fn period(&self) -> u64 {
        self.period.load(Ordering::Acquire)
    }

    /// When the last period of trust ended, in ms on the cache's clock.
    pub(crate) fn distrusted_at(&self) -> u64 {
        self.distrusted_at.load(Ordering::Acquire)
    }

    pub(crate) fn before(&self, name: Borrowed<'_>) -> Before {
        let period = self.period();
        if self.store.is_none() {
            return Before { slot: 0, count: 0, period };
        }
        let slot = self.slot(name);
        Before { slot, count: *self.lock(slot), period }
    }

    /// Stores a value unless its key was invalidated, or trust was lost, since `before`.
    pub(crate) fn put(&self, name: Name, entry: Arc<Entry>, before: Before) -> bool {
        let Some(store) = &self.store else { return false };
        // The slot is held while storing: an invalidation comes wholly before or wholly after.
        let count = self.lock(before.slot);
        let stands = self.stands(*count, before);
        if stands {
            store.insert(name, Kept::Value(entry));
        }
        stands
    }

    /// The tag in this version, for values that have it; nothing when it was invalidated, or trust was lost,
    /// since `before`.
    pub(crate) fn put_tag(
        &self,
        tag: &str,
        version: Version,
        before: Before,
    ) -> Option<Arc<TagState>> {
        let store = self.store.as_ref()?;
        let count = self.lock(before.slot);
        if !self.stands(*count, before) {
            return None;
        }
        // Values that have it already go on with it.
        if let Some(known) = self.kept_tag(tag)
            && known.version == version
            && known.renew(before.period)
        {
            return Some(known);
        }
        let period = AtomicU64::new(before.period);
        let state = Arc::new(TagState { name: tag.into(), version, period });
        let name = Name { function: TAGS, text: tag.into() };
        store.insert(name, Kept::Tag(Arc::clone(&state))); // what it replaces is let go
        Some(state)
    }

    fn stands(&self, count: u64, before: Before) -> bool {
        count == before.count && self.period() == before.period
    }

    pub(crate) fn invalidate(&self, name: Borrowed<'_>) {
        let mut count = self.lock(self.slot(name));
        *count += 1;
        if let Some(store) = &self.store
            && let Some((_, kept)) = store.remove(&name)
        {
            kept.let_go();
        }
    }

    /// Ends the period of trust: nothing stored until now is fresh any more.
    pub(crate) fn distrust(&self, now: u64) {
        self.distrusted_at.store(now, Ordering::Release);
        self.period.fetch_add(1, Ordering::AcqRel);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self, now: u64) {
        self.distrust(now);
        if let Some(store) = &self.store {
            store.retain(|_, kept| {
                kept.let_go();
                false
            });
        }
    }

    /// Bytes in use, as far as they can be told from outside the allocator.
    pub(crate) fn bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::weight)
    }

    fn slot(&self, name: Borrowed<'_>) -> usize {
        (self.hasher.hash_one(name) % SLOTS as u64) as usize
    }

    fn lock(&self, slot: usize) -> std::sync::MutexGuard<'_, u64> {
        self.slots[slot].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
