//! What stands in Redis: keys and bytes.

use std::time::Duration;

use pinchpoint_cache::{Function, Outcome, Policy, key, trace};
use serde::{Deserialize, Serialize};

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

static SAMPLE: Function = Function::new(
    "sample",
    Policy::new(Duration::from_secs(3600)).stale(Duration::from_secs(3600)).jitter(0.0),
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Rich { stars: u16 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    id: i64,
    name: String,
    share: f64,
    parts: Vec<Option<u32>>,
    kinds: (Kind, Kind),
    open: bool,
}

fn sample() -> Sample {
    Sample {
        id: -300,
        name: "Zoë".into(),
        share: 0.5,
        parts: vec![None, Some(300)],
        kinds: (Kind::Plain, Kind::Rich { stars: 5 }),
        open: true,
    }
}

/// What one release stores the next one reads: a codec that changed would not fail, it would
/// only decode something else.
#[tokio::test]
async fn the_bytes_of_a_value_and_of_a_tag_are_pinned() {
    let redis = Redis::start().await;
    let ([a], _) = processes(&redis, |cache| cache).await;
    let load = || async { Ok::<_, ()>(Some(sample()).into()) };
    let tags = || vec![key!("samples")];
    a.cache.get_or_load_tagged(&SAMPLE, key!("1"), tags, load).await.unwrap();
    let tag: Vec<u8> = redis.ask(&["GET", "test:#samples"]).await;
    assert_eq!(tag.len(), 8, "a version and nothing else");
    let keys: Vec<String> = redis.ask(&["KEYS", "test:sample@*"]).await;
    let bytes: Vec<u8> = redis.ask(&["GET", &keys[0]]).await;
    assert_eq!(bytes[..2], *b"\x01V");
    let time = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!((time(18) - time(10), time(26) - time(18)), (3_600_000, 3_600_000));
    assert_eq!((bytes[34], &bytes[35..43]), (1, &tag[..]), "the version of its only tag");
    let expected: &[u8] =
        b"\xd7\x04\x04Zo\xc3\xab\0\0\0\0\0\0\xe0\x3f\x02\0\x01\xac\x02\0\x01\x05\x01";
    assert_eq!(&bytes[43..], expected);
    let _: i64 = redis.ask(&["PERSIST", &keys[0]]).await;
    // And what was stored by hand, byte for byte, is read.
    let [b] = processes::<1>(&redis, |cache| cache).await.0;
    let load = || async { Ok::<_, ()>(None::<Sample>.into()) };
    let found = trace(b.cache.get_or_load_tagged(&SAMPLE, key!("1"), tags, load)).await;
    assert_eq!((found.0.unwrap(), found.1), (Some(sample()), vec![("sample", Outcome::Redis)]));
}
