//! A lease is given back when its holder's function gives no answer.

use std::sync::Arc;
use std::time::Duration;

use pinchpoint_cache::{Function, Interrupted, LoadError, Loaded, Policy, key};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::server::Redis;
use crate::{Process, eventually, processes};

const HOUR: Duration = Duration::from_secs(3600);
/// A lease lasts as long as its holder's function may take.
static LEASED: Function = Function::new("leased", Policy::new(HOUR).timeout(HOUR));

type Ending = fn(Option<i64>) -> Result<Option<i64>, &'static str>;

/// Looks the row up; its function reads it and comes to this end.
async fn leased(process: Process, end: Ending) -> Result<Option<i64>, LoadError<&'static str>> {
    let database = Arc::clone(&process.database);
    let load = move || async move { end(database.read(1).await).map(Loaded::from) };
    process.cache.get_or_load(&LEASED, key!("1"), load).await
}

/// The end of a call that holds the lease while another process waits for it.
async fn ends_while_another_waits(end: Ending) -> LoadError<&'static str> {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    let hold = Arc::new(Notify::new());
    *database.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let holder = tokio::spawn(leased(a, end));
    eventually("it has the lease and reads", async || database.reads() == 1).await;
    *database.hold.lock().unwrap() = None;
    let keys: Vec<String> = redis.ask(&["KEYS", "test:leased@*"]).await;
    let left: i64 = redis.ask(&["PTTL", &keys[0]]).await;
    assert!(left > 3_000_000, "by itself it does not end in the time of this test: {left} ms");

    let lookups = async || {
        let stats: String = redis.ask(&["INFO", "commandstats"]).await;
        let gets = stats.split_once("cmdstat_get:calls=").unwrap().1;
        gets.split_once(',').unwrap().0.parse::<u64>().unwrap()
    };
    let before = lookups().await;
    let waits = tokio::spawn(leased(b, Ok));
    eventually("the other looks, and finds the lease", async || lookups().await > before).await;
    assert_eq!(database.reads(), 1, "it waits for the lease's holder");
    hold.notify_waiters();
    let failed = holder.await.unwrap().unwrap_err();
    // Only so that a lease that is kept does not hang the test.
    let answer = timeout(Duration::from_secs(30), waits).await.expect("the lease is given back");
    assert_eq!(answer.unwrap().unwrap(), Some(0));
    assert_eq!(database.reads(), 2, "by a call of its own");
    failed
}

#[tokio::test]
async fn a_lease_is_given_back_when_the_function_fails() {
    let failed = ends_while_another_waits(|_| Err("no such table")).await;
    assert!(matches!(&failed, LoadError::Failed(why) if **why == "no such table"), "{failed}");
}

#[tokio::test]
async fn a_lease_is_given_back_when_the_function_panics() {
    let failed = ends_while_another_waits(|_| panic!("a bad day")).await;
    let panicked = Interrupted::Panicked("a bad day".to_owned());
    assert!(matches!(&failed, LoadError::Interrupted(why) if *why == panicked), "{failed}");
}
