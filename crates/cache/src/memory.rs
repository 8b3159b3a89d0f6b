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

/// What a value costs beside its bytes: the entry, its key's allocation, the store's own tables.
const OVERHEAD: u64 = 160;
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

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed { function: self.function, text: &self.text }.hash(state);
    }
}

#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct Borrowed<'a> {
    pub(crate) function: u64,
    pub(crate) text: &'a str,
}

impl Equivalent<Name> for Borrowed<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.function == name.function && *self.text == *name.text
    }
}

/// A value of this level. Times are in ms on the cache's own clock.
pub(crate) struct Entry {
    /// `Option<V>` of the function's `V`.
    pub(crate) value: Arc<dyn Any + Send + Sync>,
    pub(crate) fresh_until: u64,
    pub(crate) served_until: u64,
    pub(crate) refresh_at: AtomicU64,
    /// Which period of trust it was stored in: a lost connection to Redis ends one.
    pub(crate) period: u64,
    pub(crate) tags: Arc<[(Box<str>, Version)]>,
    pub(crate) bytes: u32,
}

#[derive(Clone)]
enum Kept {
    Value(Arc<Entry>),
    Tag { version: Version, period: u64 },
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Name, Kept> for Weigh {
    fn weight(&self, name: &Name, kept: &Kept) -> u64 {
        let bytes = match kept {
            Kept::Value(entry) => u64::from(entry.bytes) + 24 * entry.tags.len() as u64,
            Kept::Tag { .. } => 0,
        };
        OVERHEAD + name.text.len() as u64 + bytes
    }
}

#[derive(Clone)]
struct CountEvictions(Counter);

impl Lifecycle<Name, Kept> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Name, _: Kept) {
        self.0.increment(1);
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

    pub(crate) fn get(&self, name: Borrowed<'_>) -> Option<Arc<Entry>> {
        match self.store.as_ref()?.get(&name)? {
            Kept::Value(entry) => Some(entry),
            Kept::Tag { .. } => None,
        }
    }

    /// Whether every tag is known to stand as it stood when the value was fetched.
    pub(crate) fn tags_stand(&self, entry: &Entry) -> bool {
        entry.tags.iter().all(|(tag, version)| self.tag(tag) == Some(*version))
    }

    /// Whether no tag is known to have changed in this process: all that can be said of a value
    /// from before trust was lost.
    pub(crate) fn tags_stood(&self, entry: &Entry) -> bool {
        let stood = |tag: &str| self.kept_tag(tag).map(|(version, _)| version);
        entry.tags.iter().all(|(tag, version)| stood(tag) == Some(*version))
    }

    pub(crate) fn tag(&self, tag: &str) -> Option<Version> {
        let (version, period) = self.kept_tag(tag)?;
        (period == self.period()).then_some(version)
    }

    fn kept_tag(&self, tag: &str) -> Option<(Version, u64)> {
        match self.store.as_ref()?.get(&Borrowed { function: TAGS, text: tag })? {
            Kept::Tag { version, period } => Some((version, period)),
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
        let slot = self.slot(name);
        Before { slot, count: *self.lock(slot), period }
    }

    /// Stores a value unless its key was invalidated, or trust was lost, since `before`.
    pub(crate) fn put(&self, name: Name, entry: Entry, before: Before) -> bool {
        self.put_kept(name, Kept::Value(Arc::new(entry)), before)
    }

    pub(crate) fn put_tag(&self, tag: &str, version: Version, before: Before) -> bool {
        let name = Name { function: TAGS, text: tag.into() };
        self.put_kept(name, Kept::Tag { version, period: before.period }, before)
    }

    fn put_kept(&self, name: Name, kept: Kept, before: Before) -> bool {
        let Some(store) = &self.store else { return false };
        // The slot is held while storing: an invalidation comes wholly before or wholly after.
        let count = self.lock(before.slot);
        let stands = *count == before.count && self.period() == before.period;
        if stands {
            store.insert(name, kept);
        }
        stands
    }

    pub(crate) fn invalidate(&self, name: Borrowed<'_>) {
        let mut count = self.lock(self.slot(name));
        *count += 1;
        if let Some(store) = &self.store {
            store.remove(&name);
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
            store.clear();
        }
    }

    /// Bytes in use, by this level's own weighing.
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
mod tests {
    use super::*;

    const NAME: Borrowed<'_> = Borrowed { function: 7, text: "user:1" };

    fn entry(memory: &Memory) -> Entry {
        Entry {
            value: Arc::new(Some(1_u8)),
            fresh_until: 10,
            served_until: 10,
            refresh_at: AtomicU64::new(u64::MAX),
            period: memory.period(),
            tags: [(Box::from("t"), *b"version1")].into(),
            bytes: 1000,
        }
    }

    fn name() -> Name {
        Name { function: 7, text: "user:1".into() }
    }

    #[test]
    fn what_was_read_before_an_invalidation_is_not_stored_after_it() {
        let memory = Memory::new(1 << 20, Counter::noop());
        let before = memory.before(NAME);
        memory.invalidate(NAME);
        assert!(!memory.put(name(), entry(&memory), before));
        assert!(memory.put(name(), entry(&memory), memory.before(NAME)));
        assert!(memory.get(NAME).is_some());
        memory.invalidate(NAME);
        assert!(memory.get(NAME).is_none());
    }

    #[test]
    fn a_value_stands_only_while_its_tags_do() {
        let memory = Memory::new(1 << 20, Counter::noop());
        let tag = Borrowed { function: TAGS, text: "t" };
        assert!(!memory.tags_stand(&entry(&memory)), "an unknown tag is not trusted");
        memory.put_tag("t", *b"version1", memory.before(tag));
        assert!(memory.tags_stand(&entry(&memory)));
        memory.put_tag("t", *b"version2", memory.before(tag));
        assert!(!memory.tags_stand(&entry(&memory)));
        memory.put_tag("t", *b"version1", memory.before(tag));
        memory.distrust(5);
        assert!(!memory.tags_stand(&entry(&memory)), "nor is one from before a lost connection");
    }

    #[test]
    fn it_is_bounded_by_bytes_and_counts_what_it_drops() {
        let memory = Memory::new(100_000, Counter::noop());
        for i in 0..1000 {
            let text = format!("user:{i}");
            let before = memory.before(Borrowed { function: 7, text: &text });
            let name = Name { function: 7, text: text.into() };
            memory.put(name, entry(&memory), before);
        }
        assert!(memory.bytes() <= 100_000, "{}", memory.bytes());
        assert!(memory.bytes() > 50_000, "{}", memory.bytes());
    }
}
