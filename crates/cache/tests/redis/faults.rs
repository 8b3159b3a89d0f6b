//! A Redis that is gone, hangs or is full.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pinchpoint_cache::{Builder, Invalidated, Outcome, trace};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::server::Redis;
use crate::{Process, ageing, eventually, get, get_invalidate, processes};

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
    let stopped = Instant::now();
    for id in 100..110 {
        assert_eq!(get(&a, id).await.unwrap(), Some(0));
    }
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(5), "it hangs for ever, its callers do not: {took:?}");
    eventually("it is held to be away", async || !a.cache.is_whole()).await;
    database.write(1, 1);
    let asked = Instant::now();
    assert_eq!(get(&a, 1).await.unwrap(), Some(1), "memory is not trusted");
    for id in 110..160 {
        assert_eq!(get(&a, id).await.unwrap(), Some(0));
    }
    // Fifty waits of 20 ms would be a second more.
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(1), "who is away is not asked: {took:?}");
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
async fn a_redis_that_is_full_when_the_value_comes_keeps_nobody_waiting() {
    let redis = Redis::with(&["--maxmemory-policy", "noeviction"]).await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    let hold = Arc::new(Notify::new());
    *database.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let call = |process: &Process| {
        let process = process.clone();
        tokio::spawn(async move { get(&process, 1).await })
    };
    let first = call(&a);
    eventually("it has the lease and reads", async || database.reads() == 1).await;
    *database.hold.lock().unwrap() = None;
    let waits = call(&b);
    let _: String = redis.ask(&["CONFIG", "SET", "maxmemory", "1mb"]).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(database.reads(), 1, "the other process waits for the lease's holder");
    hold.notify_waiters();
    let refused = Instant::now();
    assert_eq!(first.await.unwrap(), Ok(Some(0)));
    assert_eq!(waits.await.unwrap(), Ok(Some(0)));
    let took = refused.elapsed();
    assert!(took < Duration::from_secs(4), "the lease would last ten seconds: {took:?}");
    let keys: Vec<String> = redis.ask(&["KEYS", "test:get@*"]).await;
    assert_eq!(keys.len(), 0, "no lease is left behind");
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
