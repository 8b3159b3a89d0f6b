//! What stands in Redis: keys and bytes.

use pinchpoint_cache::{Outcome, trace};

use crate::server::Redis;
use crate::{eventually, get, processes};

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
