//! `#[cached]` on functions with parameters, bounds and lifetimes of their own.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pinchpoint_cache::{Cache, Outcome, Value, cached, trace};
use serde::{Deserialize, Serialize};

#[derive(Clone)]
struct State {
    cache: Cache,
    calls: Arc<AtomicUsize>,
}

impl State {
    async fn new() -> Self {
        let cache = Cache::builder("test").build().await.unwrap();
        Self { cache, calls: Arc::default() }
    }

    fn called(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

trait Row: Value {
    const TABLE: &'static str;
    fn read(id: i64) -> Option<Self>;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User(i64);
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Post(i64, String);

impl Row for User {
    const TABLE: &'static str = "users";
    fn read(id: i64) -> Option<Self> {
        (id > 0).then_some(Self(id))
    }
}

impl Row for Post {
    const TABLE: &'static str = "posts";
    fn read(id: i64) -> Option<Self> {
        Some(Self(id, format!("post {id}")))
    }
}

#[cached(cache = state.cache, key = "row:{id}", ttl = "1h", tags = ["{T::TABLE}"])]
async fn get<T: Row>(state: &State, id: i64) -> Result<Option<T>, String> {
    state.called();
    Ok(T::read(id))
}

#[tokio::test]
async fn a_generic_function_keeps_its_types_apart() {
    let state = State::new().await;
    for _ in 0..2 {
        assert_eq!(get::<User>(&state, 1).await, Ok(Some(User(1))));
        assert_eq!(get::<Post>(&state, 1).await, Ok(Some(Post(1, "post 1".into()))));
    }
    assert_eq!(state.calls(), 2);
    assert_eq!(get_key::<User>(&state, 1), get_key::<Post>(&state, 1));
    let _ = get_invalidate::<User>(&state, 1).await;
    assert_eq!(trace(get::<Post>(&state, 1)).await.1, [("get", Outcome::Memory)]);
    assert_eq!(trace(get::<User>(&state, 1)).await.1, [("get", Outcome::Miss)]);
    let _ = state.cache.invalidate_tag(pinchpoint_cache::key!("posts")).await;
    assert_eq!(trace(get::<Post>(&state, 1)).await.1, [("get", Outcome::Miss)]);
    assert_eq!(trace(get::<User>(&state, 1)).await.1, [("get", Outcome::Memory)]);
    assert_eq!(get_refresh::<User>(&state, 2).await, Ok(Some(User(2))));
    assert_eq!(get_uncached::<User>(&state, 0).await, Ok(None));
}

/// What tells its calls apart is not in the type of its answer, so it stands in the key.
#[cached(cache = state.cache, key = "{N}:{word}", ttl = "1h")]
async fn repeated<const N: usize, W>(state: &State, word: W) -> String
where
    W: Display + Clone + Send + Sync + 'static,
{
    state.called();
    word.to_string().repeat(N)
}

#[tokio::test]
async fn numbers_and_bounds_are_passed_on() {
    let state = State::new().await;
    for _ in 0..2 {
        assert_eq!(repeated::<2, _>(&state, "ab").await, "abab");
        assert_eq!(repeated::<3, _>(&state, "ab").await, "ababab");
        assert_eq!(repeated::<3, _>(&state, 'x').await, "xxx");
    }
    assert_eq!(state.calls(), 3);
    let _ = repeated_invalidate::<3, _>(&state, "ab").await;
    assert_eq!(repeated::<2, _>(&state, "ab").await, "abab");
    assert_eq!(repeated::<3, _>(&state, "ab").await, "ababab");
    assert_eq!(state.calls(), 4);
}

#[cached(cache = state.cache, key = "{a}:{b.len()}", ttl = "1h")]
async fn longer<'s, 't>(state: &'s State, a: &'t str, b: &'t [u8]) -> usize
where
    's: 't,
{
    state.called();
    a.len().max(b.len())
}

struct Shelf<T> {
    cache: Cache,
    rows: Arc<Vec<T>>,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), rows: Arc::clone(&self.rows) }
    }
}

impl<T: Value> Shelf<T> {
    #[cached(cache = self.cache, key = "row:{at}", ttl = "1h")]
    async fn row(&self, at: usize) -> Option<T> {
        self.rows.get(at).cloned()
    }
}

#[tokio::test]
async fn named_lifetimes_and_methods_of_generic_types_are_cached() {
    let state = State::new().await;
    let text = String::from("four");
    assert_eq!(longer(&state, &text, b"five5").await, 5);
    assert_eq!(longer(&state, &text, b"five5").await, 5);
    assert_eq!(state.calls(), 1);
    let cache = state.cache.clone();
    let numbers = Shelf { cache: cache.clone(), rows: Arc::new(vec![7_u8]) };
    let words = Shelf { cache, rows: Arc::new(vec!["seven".to_owned()]) };
    for _ in 0..2 {
        assert_eq!(numbers.row(0).await, Some(7));
        assert_eq!(words.row(0).await.as_deref(), Some("seven"));
        assert_eq!(words.row(1).await, None);
    }
    let (_, how) = trace(words.row(0)).await;
    assert_eq!(how, [("row", Outcome::Memory)]);
}
