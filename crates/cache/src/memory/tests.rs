use super::*;

const NAME: Borrowed<'_> = Borrowed { function: 7, text: b"user:1" };

fn entry(memory: &Memory, tags: &[&Arc<TagState>]) -> Arc<Entry> {
    Arc::new(Entry {
        fresh_until: 10,
        served_until: 10,
        refresh_at: AtomicU64::new(u64::MAX),
        period: memory.period(),
        tags: tags.iter().map(|tag| Arc::clone(tag)).collect(),
        bytes: 1000,
        value: Some(1_u8),
    })
}

fn name() -> Name {
    Name { function: 7, text: "user:1".into() }
}

#[test]
fn what_was_read_before_an_invalidation_is_not_stored_after_it() {
    let memory = Memory::new(1 << 20, Counter::noop());
    let before = memory.before(NAME);
    memory.invalidate(NAME);
    assert!(!memory.put(name(), entry(&memory, &[]), before));
    assert!(memory.put(name(), entry(&memory, &[]), memory.before(NAME)));
    assert!(memory.get(NAME).is_some());
    memory.invalidate(NAME);
    assert!(memory.get(NAME).is_none());
}

#[test]
fn a_value_stands_only_while_its_tags_do() {
    let memory = Memory::new(1 << 20, Counter::noop());
    let put = |version| memory.put_tag("t", version, memory.before(Borrowed::tag("t")));
    let first = put(*b"version1").expect("a tag");
    let value = entry(&memory, &[&first]);
    assert!(value.tags_stand());
    put(*b"version1").expect("the same");
    assert!(value.tags_stand(), "seen again as it was");
    put(*b"version2").expect("another");
    assert!(!value.tags_stand() && !value.tags_stood());
    put(*b"version1").expect("a third");
    assert!(!value.tags_stand(), "what has ended does not come back");
}

#[test]
fn a_lost_connection_leaves_tags_that_stood_and_no_longer_stand() {
    let memory = Memory::new(1 << 20, Counter::noop());
    let put = || memory.put_tag("t", *b"version1", memory.before(Borrowed::tag("t")));
    let value = entry(&memory, &[&put().expect("a tag")]);
    memory.distrust(5);
    assert!(memory.tag("t").is_none());
    put().expect("seen again");
    assert!(memory.tag("t").is_some() && value.tags_stood());
    assert!(!value.tags_stand(), "the value itself is from before");
}

#[test]
fn a_tag_that_is_invalidated_or_cleared_takes_its_values_with_it() {
    let ways: [fn(&Memory); 2] =
        [|memory| memory.invalidate(Borrowed::tag("t")), |memory| memory.clear(1)];
    for way in ways {
        let memory = Memory::new(1 << 20, Counter::noop());
        let before = memory.before(Borrowed::tag("t"));
        let tag = memory.put_tag("t", *b"version1", before).expect("a tag");
        let value = entry(&memory, &[&tag]);
        assert!(value.tags_stood());
        way(&memory);
        assert!(!value.tags_stood() && !value.tags_stand());
    }
}

#[test]
fn a_tag_stands_exactly_while_it_is_kept() {
    let memory = Memory::new(20_000, Counter::noop());
    let names: Vec<String> = (0..1000).map(|i| format!("tag{i}")).collect();
    let put = |name: &String| {
        let before = memory.before(Borrowed::tag(name));
        memory.put_tag(name, *b"version1", before).expect("nothing was invalidated")
    };
    let values: Vec<Arc<Entry>> = names.iter().map(|n| entry(&memory, &[&put(n)])).collect();
    let mut dropped = 0;
    for (name, value) in names.iter().zip(&values) {
        assert_eq!(value.tags_stand(), memory.tag(name).is_some(), "{name}");
        dropped += usize::from(!value.tags_stand());
    }
    assert!((500..1000).contains(&dropped), "{dropped}");
}

#[test]
fn it_is_bounded_by_bytes_and_counts_what_it_drops() {
    let memory = Memory::new(100_000, Counter::noop());
    for i in 0..1000 {
        let text = format!("user:{i}");
        let before = memory.before(Borrowed { function: 7, text: text.as_bytes() });
        let name = Name { function: 7, text: text.into() };
        memory.put(name, entry(&memory, &[]), before);
    }
    assert!(memory.bytes() <= 100_000, "{}", memory.bytes());
    assert!(memory.bytes() > 50_000, "{}", memory.bytes());
}

/// Counts what it is told.
#[derive(Default)]
struct Count(AtomicU64);

impl metrics::CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

#[test]
fn a_value_that_is_replaced_is_not_an_eviction() {
    let count = Arc::new(Count::default());
    let counted = || count.0.load(Ordering::Relaxed);
    let memory = Memory::new(100_000, Counter::from_arc(Arc::clone(&count)));
    for _ in 0..100 {
        assert!(memory.put(name(), entry(&memory, &[]), memory.before(NAME)));
    }
    assert_eq!(counted(), 0, "one name, one value at a time");
    let each = memory.bytes();
    for i in 0..1000 {
        let text = format!("user:{i}");
        let before = memory.before(Borrowed { function: 7, text: text.as_bytes() });
        assert!(memory.put(Name { function: 7, text: text.into() }, entry(&memory, &[]), before));
    }
    let kept = memory.bytes() / each;
    // Each name that was stored is kept or was evicted; one of them was there before.
    assert!((1000 - kept - 10..=1000).contains(&counted()), "{} of {kept}", counted());
}

#[test]
fn a_value_weighs_its_name_its_entry_and_what_it_owns() {
    let memory = Memory::new(1 << 20, Counter::noop());
    memory.put(name(), entry(&memory, &[]), memory.before(NAME));
    let small = memory.bytes();
    let large = Arc::new(Entry {
        fresh_until: 10,
        served_until: 10,
        refresh_at: AtomicU64::new(u64::MAX),
        period: memory.period(),
        tags: Box::default(),
        bytes: 1000,
        value: Some([0_u8; 500]),
    });
    memory.put(name(), large, memory.before(NAME));
    let more = memory.bytes() - small;
    assert!((496..=512).contains(&more), "an entry larger by 499 bytes weighs {more} more");
}
