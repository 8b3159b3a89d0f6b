//! Invalidations whose caller goes away, or that Redis does not take at once.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use pinchpoint_cache::{Invalidated, key};

use crate::server::Redis;
use crate::{Process, eventually, get, get_invalidate, processes};

/// Each way to forget, begun and given up, as when the client of a service hangs up.
async fn begin(way: usize, process: &Process) {
    let mut invalidation = pin!(async {
        match way {
            0 => get_invalidate(process, 1).await,
            1 => process.cache.invalidate_tag(key!("table")).await,
            _ => process.cache.clear().await,
        }
    });
    std::future::poll_fn(|context| {
        assert!(invalidation.as_mut().poll(context).is_pending(), "Redis has not answered");
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn it_happens_though_its_caller_has_gone_away() {
    for way in 0..3 {
        let redis = Redis::start().await;
        let ([a, b], database) = processes(&redis, |cache| cache).await;
        get(&a, 1).await.unwrap();
        get(&b, 1).await.unwrap();
        database.write(1, 1);
        redis.signal("STOP").await;
        begin(way, &a).await;
        redis.signal("CONT").await;
        eventually("the other sees it", async || get(&b, 1).await.unwrap() == Some(1)).await;
        assert_eq!(get(&a, 1).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn it_is_sent_later_though_its_caller_has_gone_away_and_redis_too() {
    for way in 0..3 {
        // What was stored is still there afterwards.
        let mut redis = Redis::with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
        let ([a, b], database) = processes(&redis, |cache| cache).await;
        get(&a, 1).await.unwrap();
        get(&b, 1).await.unwrap();
        database.write(1, 1);
        redis.signal("STOP").await;
        begin(way, &a).await;
        redis.kill().await;
        redis.again().await;
        eventually("the other sees it", async || get(&b, 1).await.unwrap() == Some(1)).await;
        eventually("and so does this one", async || get(&a, 1).await.unwrap() == Some(1)).await;
    }
}

#[tokio::test]
async fn it_is_not_lost_while_redis_answers_but_does_not_write() {
    for way in 0..3 {
        let redis = Redis::start().await;
        let quick = |cache: pinchpoint_cache::Builder| {
            cache.redis_timeouts(Duration::from_millis(100), Duration::from_millis(100))
        };
        let ([a, b], database) = processes(&redis, quick).await;
        get(&a, 1).await.unwrap();
        get(&b, 1).await.unwrap();
        database.write(1, 1);
        // Longer than all attempts of one connection together.
        let _: String = redis.ask(&["CLIENT", "PAUSE", "1500", "WRITE"]).await;
        let done = match way {
            0 => get_invalidate(&a, 1).await,
            1 => a.cache.invalidate_tag(key!("table")).await,
            _ => a.cache.clear().await,
        };
        assert_eq!(done, Invalidated::Pending);
        eventually("the other sees it", async || get(&b, 1).await.unwrap() == Some(1)).await;
        eventually("it was sent", async || a.cache.pending_invalidations() == 0).await;
        assert_eq!(get(&a, 1).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn it_is_waited_for_briefly_when_redis_hangs() {
    let redis = Redis::start().await;
    let quick = |cache: pinchpoint_cache::Builder| {
        cache.redis_timeouts(Duration::from_millis(20), Duration::from_millis(100))
    };
    let ([a], _) = processes(&redis, quick).await;
    get(&a, 1).await.unwrap();
    redis.signal("STOP").await;
    let cleared = tokio::time::timeout(Duration::from_secs(5), a.cache.clear()).await;
    assert_eq!(cleared, Ok(Invalidated::Pending), "it hangs for ever");
    redis.signal("CONT").await;
    eventually("it is sent", async || a.cache.pending_invalidations() == 0).await;
}
