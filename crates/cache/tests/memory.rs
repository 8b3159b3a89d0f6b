//! The in-process level is bounded by bytes of the process, not by a figure of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::alloc::System;
use std::collections::BTreeMap;
use std::time::Duration;

use pinchpoint_cache::{Cache, Function, Key, Policy, Tag, Value, key};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now.
fn allocated() -> u64 {
    let stats = COUNTED.stats();
    // A block that grows or shrinks is counted in either of the two as well.
    (stats.bytes_allocated - stats.bytes_deallocated) as u64
}

static FUNCTION: Function = Function::new("kept", Policy::new(Duration::from_secs(3600)));

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: i64,
    username: String,
    email: String,
    full_name: Option<String>,
    bio: Option<String>,
}

fn user(id: i64) -> User {
    User {
        id,
        username: format!("user{id}"),
        email: format!("user{id}@example.org"),
        full_name: Some("Some Body".to_owned()),
        bio: (id % 2 == 0).then(|| "A sentence that says much of somebody. ".repeat(3)),
    }
}

/// Stores so many values in a cache of so many bytes, and says what they took of the process and
/// what the cache believes that they take.
async fn fill<V: Value>(
    bytes: u64,
    many: i64,
    tags: impl Fn(i64) -> Vec<Tag> + Send + Sync,
    value: fn(i64) -> V,
) -> (f64, f64) {
    let before = allocated();
    let cache = Cache::builder("test").memory(bytes).build().await.unwrap();
    for id in 0..many {
        let load = move || async move { Ok::<_, ()>(Some(value(id)).into()) };
        let key: Key = key!("user:{id}");
        cache.get_or_load_tagged(&FUNCTION, key, || tags(id), load).await.unwrap();
    }
    (allocated().saturating_sub(before) as f64, cache.memory_bytes() as f64)
}

fn fits(what: &str, (real, believed): (f64, f64)) {
    let ratio = real / believed;
    assert!(ratio <= 1.3, "{what}: {real} bytes, {believed} believed");
    assert!(ratio >= 0.5, "{what}: {real} bytes, {believed} believed: room is given away");
}

// One test, so that nobody else allocates meanwhile.
#[tokio::test]
async fn what_it_holds_takes_what_it_believes() {
    const ROOM: u64 = 256 << 20;
    let own = |id: i64| vec![key!("user:{id}"), key!("users")];
    let none = |_| Vec::new();
    let _ = fill(1 << 20, 10, own, user).await; // whatever is made once and stays
    fits("users with tags", fill(ROOM, 10_000, own, user).await);
    fits("users", fill(ROOM, 10_000, none, user).await);
    let page = |id| (id..id + 20).map(user).collect::<Vec<_>>();
    fits("pages of users", fill(ROOM, 1000, none, page).await);
    fits("numbers", fill(ROOM, 50_000, none, |id| id).await);
    fits("texts", fill(ROOM, 1000, none, |id| "x".repeat(20 * id as usize)).await);
    let words = |id: i64| (0..50).map(|i| (format!("{id} {i}"), i)).collect::<BTreeMap<_, _>>();
    fits("maps", fill(ROOM, 500, none, words).await);
    let (real, believed) = fill(4 << 20, 40_000, own, user).await;
    assert!(believed > 3e6, "it is full: {believed}");
    assert!(real <= 1.3 * f64::from(4 << 20), "{real} bytes of 4 MiB, {believed} believed");
}
