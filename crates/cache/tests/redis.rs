//! Several processes' caches, by handles of their own, on one real Redis.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Redis;
use pinchpoint_cache::{Builder, Cache, Interrupted, Invalidated, Outcome, cached, key, trace};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// What stands for the database: values by id, and a gate at which a read can be held up.
#[derive(Default)]
struct Database {
    rows: Mutex<BTreeMap<i64, i64>>,
    reads: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    pause: AtomicI64,
    hold: Mutex<Option<Arc<Notify>>>,
}

impl Database {
    fn write(&self, id: i64, value: i64) {
        self.rows.lock().unwrap().insert(id, value);
    }

    fn now(&self, id: i64) -> Option<i64> {
        self.rows.lock().unwrap().get(&id).copied()
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// Reads the row, and then takes its time to hand it over.
    async fn read(&self, id: i64) -> Option<i64> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let row = self.now(id);
        let pause = u64::try_from(self.pause.load(Ordering::SeqCst)).unwrap();
        let hold = self.hold.lock().unwrap().clone();
        if let Some(hold) = hold {
            hold.notified().await;
        } else if pause > 0 {
            sleep(Duration::from_micros(fastrand::u64(0..=pause))).await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        row
    }
}

/// One process.
#[derive(Clone)]
struct Process {
    cache: Cache,
    database: Arc<Database>,
}

#[cached(cache = process.cache, key = "row:{id}", ttl = "1h", tags = ["table"])]
async fn get(process: &Process, id: i64) -> Result<Option<i64>, Failure> {
    Ok(process.database.read(id).await)
}

#[cached(cache = process.cache, key = "row:{id}", ttl = "200ms", stale = "1h", jitter = 0.0)]
async fn ageing(process: &Process, id: i64) -> Result<Option<i64>, Failure> {
    Ok(process.database.read(id).await)
}

async fn processes<const N: usize>(
    redis: &Redis,
    change: fn(Builder) -> Builder,
) -> ([Process; N], Arc<Database>) {
    let database = Arc::new(Database::default());
    for id in 0..1000 {
        database.write(id, 0);
    }
    let mut made = Vec::new();
    for _ in 0..N {
        let cache = Cache::builder("test").redis(&redis.url()).unwrap();
        // On a busy machine the usual time-outs would pass.
        let cache = change(cache.redis_timeouts(Duration::from_secs(2), Duration::from_secs(5)));
        made.push(Process { cache: cache.build().await.unwrap(), database: Arc::clone(&database) });
    }
    (made.try_into().ok().unwrap(), database)
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

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

#[tokio::test]
async fn a_stale_value_is_fetched_anew_by_one_process() {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    ageing(&a, 1).await.unwrap();
    ageing(&b, 1).await.unwrap();
    sleep(Duration::from_millis(250)).await;
    database.write(1, 1);
    database.pause.store(20_000, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(trace(ageing(&a, 1)).await.1, [("ageing", Outcome::Stale)]);
        assert_eq!(trace(ageing(&b, 1)).await.1, [("ageing", Outcome::Stale)]);
    }
    eventually("both have the new value", async || {
        ageing(&a, 1).await.unwrap() == Some(1) && ageing(&b, 1).await.unwrap() == Some(1)
    })
    .await;
}

#[tokio::test]
async fn bytes_that_do_not_decode_are_a_miss_and_are_replaced() {
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    get(&a, 1).await.unwrap();
    let keys: Vec<String> = redis.ask(&["KEYS", "test:get@*"]).await;
    for (at, garbage) in ["", "x", "not an envelope at all", "\u{1}V12345678"].iter().enumerate() {
        let _: String = redis.ask(&["SET", &keys[0], garbage]).await;
        // Memory has the value from before until the push of that SET is there.
        eventually("it is read anew", async || {
            assert_eq!(get(&b, 1).await.unwrap(), Some(0));
            database.reads() == at + 2
        })
        .await;
        let [c] = processes::<1>(&redis, |cache| cache).await.0;
        assert_eq!(trace(get(&c, 1)).await.1, [("get", Outcome::Redis)], "{garbage:?}");
    }
    // A key of another kind altogether stays as it is, and is in nobody's way.
    let _: i64 = redis.ask(&["DEL", &keys[0]]).await;
    let _: i64 = redis.ask(&["LPUSH", &keys[0], "x"]).await;
    assert_eq!(get(&b, 1).await.unwrap(), Some(0));
}

#[tokio::test]
async fn the_names_of_keys_are_pinned() {
    let redis = Redis::start().await;
    let ([a], _) = processes(&redis, |cache| cache).await;
    get(&a, 1).await.unwrap();
    let mut keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    keys.sort();
    // Another name means that the next release reads nothing of what this one stored.
    assert_eq!(keys, ["test:#table", "test:get@9a436e6ac8f40093:row:1"]);
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_fails_no_call() {
    let mut redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache.concurrent_calls(4)).await;
    database.pause.store(500, Ordering::SeqCst);
    let stop = Arc::new(Notify::new());
    let mut readers = tokio::task::JoinSet::new();
    for (at, process) in [&a, &b].into_iter().cycle().take(50).cloned().enumerate() {
        let stop = Arc::clone(&stop);
        readers.spawn(async move {
            let mut stopped = std::pin::pin!(stop.notified());
            stopped.as_mut().enable();
            let mut turn = 0;
            loop {
                turn += 1;
                let row = i64::try_from((at * 31 + turn * 7) % 500).unwrap();
                tokio::select! {
                    answer = get(&process, row) => assert_eq!(answer, Ok(Some(0))),
                    () = &mut stopped => return turn,
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    sleep(Duration::from_millis(300)).await;
    redis.kill().await;
    eventually("it is missed", async || !a.cache.is_whole() && !b.cache.is_whole()).await;
    sleep(Duration::from_millis(500)).await;
    redis.again().await;
    eventually("it is found again", async || a.cache.is_whole() && b.cache.is_whole()).await;
    sleep(Duration::from_millis(300)).await;
    stop.notify_waiters();
    let turns: usize = readers.join_all().await.into_iter().sum();
    assert!(turns > 1000, "{turns}");
    let most = database.most_at_once.load(Ordering::SeqCst);
    assert!(most <= 8, "two processes, four calls each: {most}");
    assert_eq!(trace(get(&a, 999)).await.1, [("get", Outcome::Miss)]);
    assert_eq!(trace(get(&b, 999)).await.1, [("get", Outcome::Redis)], "it is used again");
}

#[tokio::test]
async fn an_invalidation_without_redis_is_sent_when_it_is_back() {
    let mut redis = Redis::with(&["--appendonly", "yes"]).await; // what was stored is still there
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    get(&a, 1).await.unwrap();
    get(&b, 1).await.unwrap();
    sleep(Duration::from_millis(1100)).await; // appended to the file each second
    redis.kill().await;
    eventually("it is missed", async || !a.cache.is_whole()).await;
    database.write(1, 1);
    assert_eq!(get_invalidate(&a, 1).await, Invalidated::Pending);
    assert_eq!(a.cache.pending_invalidations(), 1);
    assert_eq!(get(&a, 1).await.unwrap(), Some(1), "who invalidates sees it at once");
    redis.again().await;
    eventually("it is sent", async || a.cache.pending_invalidations() == 0).await;
    eventually("the others see it", async || get(&b, 1).await.unwrap() == Some(1)).await;
}

#[tokio::test]
async fn memory_is_not_trusted_while_redis_is_away_and_stale_values_bridge_it() {
    let mut redis = Redis::start().await;
    let ([a], database) = processes(&redis, |cache| cache).await;
    get(&a, 1).await.unwrap();
    ageing(&a, 1).await.unwrap();
    redis.kill().await;
    eventually("it is missed", async || !a.cache.is_whole()).await;
    database.write(1, 1); // by another process, whose invalidation cannot arrive
    assert_eq!(trace(get(&a, 1)).await, (Ok(Some(1)), vec![("get", Outcome::Miss)]));
    assert_eq!(trace(ageing(&a, 1)).await, (Ok(Some(0)), vec![("ageing", Outcome::Stale)]));
    eventually("it was fetched anew", async || ageing(&a, 1).await.unwrap() == Some(1)).await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_briefly_and_then_left_alone() {
    let redis = Redis::start().await;
    let quick = |cache: Builder| {
        cache.redis_timeouts(Duration::from_millis(20), Duration::from_millis(100))
    };
    let ([a], database) = processes(&redis, quick).await;
    get(&a, 1).await.unwrap();
    redis.signal("STOP").await;
    for id in 100..110 {
        assert_eq!(get(&a, id).await.unwrap(), Some(0));
    }
    eventually("it is held to be away", async || !a.cache.is_whole()).await;
    database.write(1, 1);
    assert_eq!(get(&a, 1).await.unwrap(), Some(1), "memory is not trusted");
    redis.signal("CONT").await;
    eventually("it is found again", async || a.cache.is_whole()).await;
    get(&a, 200).await.unwrap();
    let [b] = processes::<1>(&redis, |cache| cache).await.0;
    assert_eq!(trace(get(&b, 200)).await.1, [("get", Outcome::Redis)]);
}

#[tokio::test]
async fn a_full_redis_costs_hits_and_nothing_else() {
    let redis = Redis::with(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]).await;
    let ([a], database) = processes(&redis, |cache| cache).await;
    for id in 0..20 {
        assert_eq!(get(&a, id).await.unwrap(), Some(0));
    }
    assert!(a.cache.is_whole(), "it answers, if only that it is full");
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    assert_eq!(keys.len(), 0);
    database.write(1, 1);
    assert_eq!(get_invalidate(&a, 1).await, Invalidated::Everywhere);
    assert_eq!(get(&a, 1).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_is_used_when_it_comes() {
    let mut redis = Redis::start().await;
    redis.kill().await;
    let ([a], _) = processes(&redis, |cache| cache).await;
    assert_eq!(get(&a, 1).await.unwrap(), Some(0));
    redis.again().await;
    eventually("it is found", async || a.cache.is_whole()).await;
    get(&a, 2).await.unwrap();
    let keys: Vec<String> = redis.ask(&["KEYS", "test:get@*"]).await;
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn a_cache_that_is_dropped_or_shut_down_leaves_no_connection() {
    let redis = Redis::start().await;
    let ([a, b], _) = processes(&redis, |cache| cache).await;
    get(&a, 1).await.unwrap();
    let ours = async || {
        let list: String = redis.ask(&["CLIENT", "LIST"]).await;
        list.lines().count() - 1 // the one that asks
    };
    assert_eq!(ours().await, 2);
    a.cache.shut_down();
    drop(b);
    eventually("closed", async || ours().await == 0).await;
    assert_eq!(get(&a, 1).await.unwrap(), Some(0));
}
