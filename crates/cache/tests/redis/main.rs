//! Several processes' caches, by handles of their own, on one real Redis.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod coherence;
mod dropped;
mod faults;
mod lease;
mod metrics;
mod server;
mod stored;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinchpoint_cache::{Builder, Cache, Interrupted, cached};
use server::Redis;
use tokio::sync::Notify;
use tokio::time::sleep;

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
