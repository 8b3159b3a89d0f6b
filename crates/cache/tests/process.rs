//! The cache without Redis.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pinchpoint_cache::{Cache, Interrupted, Outcome, cached, key, trace};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: i64,
    name: String,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Failure {
    #[error("refused")]
    Refused,
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

#[derive(Clone)]
struct State {
    cache: Cache,
    calls: Arc<AtomicUsize>,
}

impl State {
    async fn new() -> Self {
        let cache = Cache::builder("test").tokio_clock().build().await.unwrap();
        Self { cache, calls: Arc::default() }
    }

    fn called(&self) -> usize {
        self.calls.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// A method is cached like a function.
    #[cached(cache = self.cache, key = "len:{text}", ttl = "1h")]
    async fn length(&self, text: &str) -> usize {
        self.called();
        text.len()
    }
}

/// Users up to 100 exist.
#[cached(cache = state.cache, key = "user:{id}", ttl = "5m", tags = ["user:{id}", "users"])]
async fn get_user(state: &State, id: i64) -> Result<Option<User>, Failure> {
    state.called();
    tokio::time::sleep(Duration::from_millis(20)).await;
    match id {
        0 => Err(Failure::Refused),
        -1 => panic!("a bad day"),
        id => Ok((id <= 100).then(|| User { id, name: format!("user {id}") })),
    }
}

#[tokio::test]
async fn a_second_call_is_a_hit_and_an_absent_value_is_one_too() {
    let state = State::new().await;
    for _ in 0..3 {
        assert_eq!(get_user(&state, 7).await.unwrap().unwrap().name, "user 7");
        assert_eq!(get_user(&state, 101).await.unwrap(), None);
    }
    assert_eq!(state.calls(), 2);
}

#[tokio::test]
async fn errors_are_not_cached() {
    let state = State::new().await;
    assert_eq!(get_user(&state, 0).await, Err(Failure::Refused));
    assert_eq!(get_user(&state, 0).await, Err(Failure::Refused));
    assert_eq!(state.calls(), 2);
}

#[tokio::test]
async fn a_thousand_callers_at_once_make_one_call() {
    let state = State::new().await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let state = state.clone();
        callers.spawn(async move { get_user(&state, 7).await });
    }
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap().unwrap().unwrap().id, 7);
    }
    assert_eq!(state.calls(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nobody() {
    let state = State::new().await;
    let first = tokio::spawn({
        let state = state.clone();
        async move { get_user(&state, 7).await }
    });
    while state.calls() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(get_user(&state, 7).await.unwrap().is_some());
    assert_eq!(state.calls(), 1);
}

#[tokio::test]
async fn a_panic_reaches_all_who_waited_as_an_error() {
    let state = State::new().await;
    let calls = (0..10).map(|_| {
        let state = state.clone();
        tokio::spawn(async move { get_user(&state, -1).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error, Failure::Interrupted(Interrupted::Panicked("a bad day".into())));
    }
    assert_eq!(state.calls(), 1);
}

#[tokio::test]
async fn an_invalidation_by_key_or_by_tag_calls_again() {
    let state = State::new().await;
    let read = || async { get_user(&state, 7).await.unwrap() };
    read().await;
    let _ = get_user_invalidate(&state, 7).await;
    read().await;
    assert_eq!(state.calls(), 2);
    let _ = state.cache.invalidate_tag(key!("users")).await;
    read().await;
    read().await;
    assert_eq!(state.calls(), 3);
    let _ = state.cache.invalidate_tag(key!("user:8")).await;
    read().await;
    assert_eq!(state.calls(), 3);
    let _ = state.cache.clear().await;
    read().await;
    assert_eq!(state.calls(), 4);
    get_user_refresh(&state, 7).await.unwrap();
    assert_eq!(state.calls(), 5);
    read().await;
    assert_eq!(state.calls(), 5);
    assert_eq!(get_user_key(&state, 7).as_str(), "user:7");
    get_user_uncached(&state, 7).await.unwrap();
    assert_eq!(state.calls(), 6);
}

#[tokio::test]
async fn whoever_calls_after_an_invalidation_does_not_join_a_call_from_before() {
    let state = State::new().await;
    let before = tokio::spawn({
        let state = state.clone();
        async move { get_user(&state, 7).await }
    });
    while state.calls() == 0 {
        tokio::task::yield_now().await;
    }
    let _ = get_user_invalidate(&state, 7).await;
    get_user(&state, 7).await.unwrap();
    assert_eq!(state.calls(), 2);
    before.await.unwrap().unwrap();
    // The first call's answer was not stored over the second's.
    let (_, how) = trace(get_user(&state, 7)).await;
    assert_eq!(how, [("get_user", Outcome::Memory)]);
}

#[tokio::test]
async fn methods_plain_values_and_borrowed_arguments_are_cached() {
    let state = State::new().await;
    assert_eq!(state.length("four").await, 4);
    assert_eq!(state.length("four").await, 4);
    assert_eq!(state.length("fours").await, 5);
    assert_eq!(state.calls(), 2);
    let _ = state.length_invalidate("four").await;
    state.length("four").await;
    assert_eq!(state.calls(), 3);
}

type Answer<T> = Result<T, String>;

#[cached(cache = state.cache, key = "pair:{a}:{b}", ttl = 60, errors = "1m")]
async fn concatenate(state: &State, a: String, b: String) -> Answer<String> {
    state.called();
    if a.is_empty() { Err("empty".into()) } else { Ok(a + &b) }
}

#[tokio::test]
async fn an_alias_is_told_by_its_type_and_errors_are_cached_when_asked() {
    let state = State::new().await;
    let call = |a: &str, b: &str| concatenate_owned(state.clone(), a.into(), b.into());
    assert_eq!(call("a:b", "c").await.unwrap(), "a:bc");
    assert_eq!(call("a", "b:c").await.unwrap(), "ab:c");
    for _ in 0..3 {
        assert_eq!(call("", "x").await.unwrap_err(), "empty");
    }
    assert_eq!(state.calls(), 3);
}

async fn concatenate_owned(state: State, a: String, b: String) -> Answer<String> {
    concatenate(&state, a, b).await
}

/// Neither clonable nor made from an interruption.
#[derive(Debug)]
struct Bare;

#[cached(cache = state.cache, key = "bare:{id}", ttl = 60, timeout = "1ms")]
async fn bare(state: &State, id: u8) -> Result<u8, Bare> {
    state.called();
    tokio::time::sleep(Duration::from_millis(20)).await;
    if id == 0 { Err(Bare) } else { Ok(id) }
}

#[tokio::test]
async fn an_error_type_of_any_kind_is_left_as_it_is() {
    let state = State::new().await;
    assert_eq!(bare(&state, 1).await.unwrap(), 1); // it cannot be told of a time-out, so there is none
    let (a, b) = tokio::join!(bare(&state, 0), bare(&state, 0));
    assert!(a.is_err() && b.is_err());
}

#[cached(cache = state.cache, key = "slow:{id}", ttl = 60, timeout = "30ms")]
async fn slow(state: &State, id: u8) -> Result<u8, Failure> {
    state.called();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Ok(id)
}

#[tokio::test(start_paused = true)]
async fn a_function_past_its_time_is_stopped_and_its_callers_are_told() {
    let state = State::new().await;
    let timed_out = Failure::Interrupted(Interrupted::TimedOut(Duration::from_millis(30)));
    assert_eq!(slow(&state, 1).await, Err(timed_out));
}

#[cached(cache = state.cache, key = "hurried", ttl = 60, timeout = "10ms")]
async fn hurried(state: &State) -> Result<usize, Failure> {
    Ok(state.called())
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_bound_wait_for_their_turn() {
    let cache = Cache::builder("test").tokio_clock().concurrent_calls(2).build().await.unwrap();
    let state = State { cache, calls: Arc::default() };
    for id in 0..2 {
        let state = state.clone();
        tokio::spawn(async move { slow(&state, id).await });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let overloaded = Interrupted::Overloaded(Duration::from_millis(10));
    assert_eq!(hurried(&state).await, Err(Failure::Interrupted(overloaded)));
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(hurried(&state).await, Ok(3), "the two have had their time");
}

#[cached(cache = state.cache, key = "old:{id}", ttl = "10s", stale = "50s", jitter = 0.0)]
async fn ageing(state: &State, id: u8) -> Result<usize, Failure> {
    let calls = state.called();
    tokio::time::sleep(Duration::from_millis(10)).await;
    if calls == 3 { Err(Failure::Refused) } else { Ok(calls + usize::from(id)) }
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_served_while_it_is_fetched_anew_and_when_that_fails() {
    let state = State::new().await;
    assert_eq!(ageing(&state, 0).await, Ok(1));
    tokio::time::sleep(Duration::from_secs(11)).await;
    let (value, how) = trace(ageing(&state, 0)).await;
    assert_eq!((value, how), (Ok(1), vec![("ageing", Outcome::Stale)]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ageing(&state, 0).await, Ok(2), "the background call has stored its answer");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(ageing(&state, 0).await, Ok(2));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ageing(&state, 0).await, Ok(2), "the third call failed");
    assert_eq!(state.calls(), 3, "and is not repeated at once");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ageing(&state, 0).await, Ok(2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ageing(&state, 0).await, Ok(4));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(ageing(&state, 0).await, Ok(5), "past its limit it is a miss");
}

#[cached(cache = state.cache, key = "ahead", ttl = "10s", refresh_at = 0.5, jitter = 0.0)]
async fn ahead(state: &State) -> Option<usize> {
    Some(state.called())
}

#[tokio::test(start_paused = true)]
async fn a_value_in_use_is_fetched_anew_before_its_time() {
    let state = State::new().await;
    assert_eq!(ahead(&state).await, Some(1));
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (value, how) = trace(ahead(&state)).await;
    assert_eq!((value, how), (Some(1), vec![("ahead", Outcome::Memory)]));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(ahead(&state).await, Some(2));
}

#[cached(cache = state.cache, key = "again", ttl = 60)]
async fn recursive(state: &State) -> usize {
    let calls = state.called();
    if calls == 1 { boxed(state).await } else { calls }
}

fn boxed(state: &State) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    Box::pin(recursive(state))
}

#[tokio::test]
async fn a_function_that_calls_itself_does_not_wait_for_itself() {
    let state = State::new().await;
    assert_eq!(recursive(&state).await, 2);
}

#[tokio::test]
async fn after_the_shutdown_calls_go_to_the_function() {
    let state = State::new().await;
    state.cache.shut_down();
    get_user(&state, 7).await.unwrap();
    get_user(&state, 8).await.unwrap();
    assert_eq!(state.calls(), 2);
}
