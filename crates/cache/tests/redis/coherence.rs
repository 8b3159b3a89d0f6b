//! What one process stores, changes or forgets, and what the others see of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pinchpoint_cache::{Function, Invalidated, Loaded, Outcome, Policy, key, trace};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::server::Redis;
use crate::{Database, Process, eventually, get, get_invalidate, processes};

#[tokio::test]
async fn what_one_process_fetched_the_other_finds() {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    assert_eq!(trace(get(&a, 1)).await, (Ok(Some(0)), vec![("get", Outcome::Miss)]));
    assert_eq!(trace(get(&a, 1)).await.1, [("get", Outcome::Memory)]);
    assert_eq!(trace(get(&b, 1)).await, (Ok(Some(0)), vec![("get", Outcome::Redis)]));
    assert_eq!(trace(get(&b, 1)).await.1, [("get", Outcome::Memory)]);
    // An absent value is a hit too.
    assert_eq!(get(&a, -1).await.unwrap(), None);
    assert_eq!(trace(get(&b, -1)).await, (Ok(None), vec![("get", Outcome::Redis)]));
    assert_eq!(database.reads(), 2);
}

#[tokio::test]
async fn an_invalidation_empties_the_memory_of_every_process() {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    for value in 1..20 {
        get(&a, 1).await.unwrap();
        get(&b, 1).await.unwrap();
        database.write(1, value);
        let done = match value % 3 {
            0 => get_invalidate(&a, 1).await,
            1 => a.cache.invalidate_tag(key!("table")).await,
            _ => a.cache.clear().await,
        };
        assert_eq!(done, Invalidated::Everywhere);
        assert_eq!(get(&a, 1).await.unwrap(), Some(value), "who invalidates sees it at once");
        eventually("the other sees it", async || get(&b, 1).await.unwrap() == Some(value)).await;
    }
}

#[tokio::test]
async fn a_plain_del_and_a_flush_by_another_client_are_invalidations() {
    let redis = Redis::start().await;
    let ([a], database) = processes(&redis, |cache| cache).await;
    get(&a, 1).await.unwrap();
    database.write(1, 1);
    let keys: Vec<String> = redis.ask(&["KEYS", "test:get@*"]).await;
    let _: i64 = redis.ask(&["DEL", &keys[0]]).await;
    eventually("DEL is seen", async || get(&a, 1).await.unwrap() == Some(1)).await;
    database.write(1, 2);
    let _: String = redis.ask(&["FLUSHALL"]).await;
    eventually("FLUSHALL is seen", async || get(&a, 1).await.unwrap() == Some(2)).await;
}

/// The connection alone is lost, and in the same moment the value changes: its push is lost too.
#[tokio::test]
async fn what_changes_while_only_the_connection_is_lost_is_not_believed() {
    let redis = Redis::start().await;
    let ([a], database) = processes(&redis, |cache| cache).await;
    for value in 1..=5 {
        // What was fetched without Redis is not told of changes, and believed for two seconds alone.
        assert_eq!(get_invalidate(&a, 1).await, Invalidated::Everywhere);
        get(&a, 1).await.unwrap();
        assert_eq!(trace(get(&a, 1)).await.1, [("get", Outcome::Memory)]);
        let keys: Vec<String> = redis.ask(&["KEYS", "test:get@*"]).await;
        database.write(1, value);
        // In one transaction, so that the connection is no more when the key goes.
        let killed = redis.kill_others_and(&["DEL", &keys[0]]).await;
        assert_eq!(killed, 1, "the one connection of the cache");
        eventually("it is not believed", async || get(&a, 1).await.unwrap() == Some(value)).await;
        eventually("it connects again", async || a.cache.is_whole()).await;
    }
    assert_eq!(database.now(1), Some(5));
}

#[tokio::test]
async fn callers_in_two_processes_make_one_call_and_are_woken_by_its_end() {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    let hold = Arc::new(Notify::new());
    *database.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let mut calls = tokio::task::JoinSet::new();
    for process in [&a, &b].into_iter().cycle().take(1000) {
        let process = process.clone();
        calls.spawn(async move { get(&process, 1).await });
    }
    eventually("one reads", async || database.reads() == 1).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(database.reads(), 1, "the other process waits for the lease's holder");
    hold.notify_waiters();
    // Without the push they would look again only a second later.
    let all = timeout(Duration::from_millis(900), calls.join_all()).await;
    assert!(all.expect("woken").into_iter().all(|answer| answer == Ok(Some(0))));
    assert_eq!(database.reads(), 1);
}

#[tokio::test]
async fn the_lease_of_a_process_that_died_ends() {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    get(&a, 1).await.unwrap();
    let keys: Vec<String> = redis.ask(&["KEYS", "test:get@*"]).await;
    // What a process leaves behind that took the lease and died.
    let _: String = redis.ask(&["SET", &keys[0], "\u{1}Lsomebody", "PX", "700"]).await;
    assert_eq!(get(&b, 1).await.unwrap(), Some(0));
    assert_eq!(database.reads(), 2);
}

/// A reader that began before an invalidation ends after it.
async fn late_reader(invalidate: impl AsyncFn(&Process, &Redis)) {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    let hold = Arc::new(Notify::new());
    *database.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let late = tokio::spawn({
        let a = a.clone();
        async move { get(&a, 1).await }
    });
    eventually("it reads", async || database.reads() == 1).await;
    *database.hold.lock().unwrap() = None;
    database.write(1, 1);
    invalidate(&b, &redis).await;
    hold.notify_waiters();
    assert_eq!(late.await.unwrap().unwrap(), Some(0), "it gets what it read");
    eventually("but that is not stored", async || get(&a, 1).await.unwrap() == Some(1)).await;
    assert_eq!(get(&b, 1).await.unwrap(), Some(1));
}

#[tokio::test]
async fn what_was_read_before_an_invalidation_is_not_stored_after_it() {
    late_reader(async |process, _| {
        let _ = get_invalidate(process, 1).await;
    })
    .await;
}

#[tokio::test]
async fn nor_is_it_after_an_invalidation_by_tag() {
    late_reader(async |process, _| {
        let _ = process.cache.invalidate_tag(key!("table")).await;
    })
    .await;
}

#[tokio::test]
async fn nor_after_a_plain_del_by_another_client() {
    late_reader(async |_, redis| {
        let keys: Vec<String> = redis.ask(&["KEYS", "test:get@*"]).await;
        let _: i64 = redis.ask(&["DEL", &keys[0]]).await;
    })
    .await;
}

/// The order that most caches use: get, else compute and set with a time to live. The same late
/// reader stores what is old, for the whole of its time to live.
#[tokio::test]
async fn the_naive_order_does_store_it() {
    let redis = Redis::start().await;
    let database = Database::default();
    database.write(1, 0);
    let hold = Arc::new(Notify::new());
    *database.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let naive = async {
        let cached: Option<String> = redis.ask(&["GET", "naive:1"]).await;
        assert_eq!(cached, None);
        let row = database.read(1).await.unwrap();
        let _: String = redis.ask(&["SETEX", "naive:1", "3600", &row.to_string()]).await;
    };
    let writer = async {
        eventually("it reads", async || database.reads() == 1).await;
        database.write(1, 1);
        let _: i64 = redis.ask(&["DEL", "naive:1"]).await;
        hold.notify_waiters();
    };
    tokio::join!(naive, writer);
    let stored: String = redis.ask(&["GET", "naive:1"]).await;
    assert_eq!((stored.as_str(), database.now(1)), ("0", Some(1)), "stale for an hour");
}

/// Readers and writers of two processes at random. Each row's value only grows, so a reader that
/// sees less than what stood when the last invalidation had *returned* in its own process, or a
/// cache that is still behind when all is quiet, has seen a stale value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stale_value_is_stored_whatever_the_order() {
    const ROWS: i64 = 4;
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}"); // shown when the test fails
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    database.pause.store(3000, Ordering::SeqCst);
    let settled: Arc<[AtomicI64; 2 * ROWS as usize]> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16_u64 {
        let (which, process) = if task % 2 == 0 { (0, a.clone()) } else { (1, b.clone()) };
        let (database, settled) = (Arc::clone(&database), Arc::clone(&settled));
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(task));
        tasks.spawn(async move {
            for _ in 0..150 {
                let row = random.i64(0..ROWS);
                let mark = &settled[usize::try_from(row + which * ROWS).unwrap()];
                if task < 4 && random.u8(0..4) == 0 {
                    let value = {
                        let mut rows = database.rows.lock().unwrap();
                        let value = rows.entry(row).or_default();
                        *value += 1;
                        *value
                    };
                    let done = match random.u8(0..2) {
                        0 => get_invalidate(&process, row).await,
                        _ => process.cache.invalidate_tag(key!("table")).await,
                    };
                    assert_eq!(done, Invalidated::Everywhere);
                    mark.fetch_max(value, Ordering::SeqCst);
                } else {
                    let least = mark.load(Ordering::SeqCst);
                    let seen = get(&process, row).await.unwrap().unwrap();
                    assert!(seen >= least, "row {row}: {seen}, though {least} was settled");
                }
                sleep(Duration::from_micros(random.u64(0..2000))).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for process in [&a, &b] {
        for row in 0..ROWS {
            let last = database.now(row);
            eventually("quiet", async || get(process, row).await.unwrap() == last).await;
        }
    }
    // And nothing old comes back.
    sleep(Duration::from_millis(50)).await;
    for row in 0..ROWS {
        assert_eq!(get(&a, row).await.unwrap(), database.now(row));
        assert_eq!(get(&b, row).await.unwrap(), database.now(row));
    }
}

static BRIEF: Function =
    Function::new("brief", Policy::new(Duration::from_secs(3600)).stale(Duration::from_secs(3600)));

/// A value that is fresh for 200 ms when it is the first one, and for an hour after that.
async fn brief(process: &Process) -> (i64, Outcome) {
    let database = Arc::clone(&process.database);
    let load = move || async move {
        let value = database.read(1).await;
        let ttl =
            if value == Some(0) { Duration::from_millis(200) } else { Duration::from_secs(3600) };
        Ok::<_, ()>(Loaded::with_ttl(value, ttl))
    };
    let (value, how) = trace(process.cache.get_or_load(&BRIEF, key!("1"), load)).await;
    (value.unwrap().unwrap(), how[0].1)
}

#[tokio::test]
async fn a_stale_value_is_fetched_anew_by_one_process() {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    brief(&a).await;
    brief(&b).await;
    sleep(Duration::from_millis(250)).await;
    database.write(1, 1);
    let before = database.reads();
    let hold = Arc::new(Notify::new());
    *database.hold.lock().unwrap() = Some(Arc::clone(&hold));
    for _ in 0..20 {
        assert_eq!(brief(&a).await, (0, Outcome::Stale));
        assert_eq!(brief(&b).await, (0, Outcome::Stale));
        sleep(Duration::from_millis(5)).await;
    }
    eventually("one reads", async || database.reads() > before).await;
    *database.hold.lock().unwrap() = None;
    hold.notify_waiters();
    eventually("both have the new value", async || {
        brief(&a).await.0 == 1 && brief(&b).await.0 == 1
    })
    .await;
    assert_eq!(database.reads(), before + 1);
}
