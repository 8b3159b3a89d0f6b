//! What a hit costs, in nanoseconds, printed as one JSON object a round.
//!
//! `pinchpoint-bench-cache REDIS_URL ROUNDS [CONTESTANT]`. In each round every contestant has its turn, in an order
//! that changes, so that what slows the machine slows all. With the number of a contestant it runs alone, to be
//! looked at with a profiler.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cached::AsyncRedisCache;
use cached::macros::concurrent_cached;
use pinchpoint_cache::{Cache, Function, Policy, cached, key};
use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const KEYS: i64 = 1000;
const IN_PROCESS: i64 = 200_000;
const IN_REDIS: i64 = 3000;
/// Requests to Redis at a time, where many are under way.
const TASKS: i64 = 32;

/// A profile, as services cache them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    id: i64,
    username: String,
    email: String,
    full_name: String,
    bio: String,
}

fn user(id: i64) -> User {
    User {
        id,
        username: format!("user{id}"),
        email: format!("user{id}@example.org"),
        full_name: "Some Body".to_owned(),
        bio: "A sentence that says as much of somebody as such sentences do. ".repeat(2),
    }
}

static PLAIN: Function = Function::new("plain", Policy::new(Duration::from_secs(3600)));
static NUMBER: Function = Function::new("number", Policy::new(Duration::from_secs(3600)));

#[cached(cache = cache, key = "user:{id}", ttl = "1h")]
async fn get_user(cache: &Cache, id: i64) -> Option<User> {
    Some(user(id))
}

/// The same function with the peer's attribute.
#[concurrent_cached(
    map_error = r##"|error| Failure::from(error)"##,
    ty = "AsyncRedisCache<String, User>",
    create = r##"{ peer_store().await }"##,
    key = "String",
    convert = r##"{ format!("user:{id}") }"##
)]
async fn peer_get_user(id: i64) -> Result<User, Failure> {
    Ok(user(id))
}

static REDIS: OnceLock<String> = OnceLock::new();

async fn peer_store() -> AsyncRedisCache<String, User> {
    let url = REDIS.get().expect("set at the start");
    let store = AsyncRedisCache::builder("bench-peer").connection_string(url);
    store.ttl(Duration::from_secs(3600)).build().await.expect("a store in Redis")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: pinchpoint-bench-cache REDIS_URL ROUNDS")?;
    let rounds: usize = arguments.next().ok_or("how many rounds?")?.parse()?;
    let alone: Option<usize> = arguments.next().map(|text| text.parse()).transpose()?;
    let bench = Bench::new(&url).await?;
    if let Some(which) = alone {
        for _ in 0..rounds {
            println!("{:.1}", bench.run(which).await?);
        }
        return Ok(());
    }
    for round in 0..rounds {
        let mut results = vec![String::new(); NAMES.len()];
        for turn in 0..NAMES.len() {
            let at = (turn + round) % NAMES.len();
            results[at] = format!("\"{}\":{:.1}", NAMES[at], bench.run(at).await?);
        }
        println!("{{{}}}", results.join(","));
    }
    Ok(())
}

/// In the order of [`Bench::run`].
const NAMES: [&str; 13] = [
    "quick_cache get",
    "moka get",
    "memory hit, number",
    "quick_cache get, user",
    "memory hit, user",
    "memory hit, #[cached]",
    "redis GET + decode",
    "redis hit",
    "cached redis hit",
    "redis GET + decode, 32 at once",
    "redis hit, 32 at once",
    "cached redis hit, 32 at once",
    "quick_cache get, user, key made",
];

struct Bench {
    keys: Vec<String>,
    quick: quick_cache::sync::Cache<String, i64>,
    quick_user: quick_cache::sync::Cache<String, Arc<User>>,
    moka: moka::sync::Cache<String, i64>,
    /// Each contestant has a store of its own, as those of the stores themselves have.
    numbers: Cache,
    users: Cache,
    memory: Cache,
    /// No memory of its own: every hit is one in Redis.
    shared: Cache,
    bare: redis::aio::MultiplexedConnection,
}

impl Bench {
    async fn new(url: &str) -> Result<Self, Failure> {
        let keys: Vec<String> = (0..KEYS).map(|id| format!("user:{id}")).collect();
        let quick = quick_cache::sync::Cache::new(10_000);
        let quick_user = quick_cache::sync::Cache::new(10_000);
        let moka = moka::sync::Cache::builder().max_capacity(10_000).build();
        let numbers = Cache::builder("bench").build().await?;
        let users = Cache::builder("bench").build().await?;
        let memory = Cache::builder("bench").build().await?;
        let shared = Cache::builder("bench").memory(0).redis(url)?.build().await?;
        let info: redis::ConnectionInfo = redis::IntoConnectionInfo::into_connection_info(url)?;
        let settings = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        let mut bare = redis::Client::open(info)?.get_multiplexed_async_connection().await?;
        REDIS.set(url.to_owned()).map_err(|_| "one bench a process")?;
        for (id, key) in (0..KEYS).zip(&keys) {
            quick.insert(key.clone(), id);
            quick_user.insert(key.clone(), Arc::new(user(id)));
            moka.insert(key.clone(), id);
            let _ = get_user(&memory, id).await;
            let load = || async move { Ok::<_, ()>(Some(id).into()) };
            let _ = numbers.get_or_load(&NUMBER, key!("user:{id}"), load).await;
            let load = || async move { Ok::<_, ()>(Some(user(id)).into()) };
            let _ = users.get_or_load(&PLAIN, key!("user:{id}"), load).await;
            let _ = get_user(&shared, id).await;
            let bytes = postcard::to_allocvec(&user(id))?;
            redis::cmd("SET").arg(key).arg(bytes).exec_async(&mut bare).await?;
            let _ = peer_get_user(id).await?;
        }
        Ok(Self { keys, quick, quick_user, moka, numbers, users, memory, shared, bare })
    }

    /// Nanoseconds of one hit.
    async fn run(&self, which: usize) -> Result<f64, Failure> {
        let began = Instant::now();
        let hits = match which {
            0 => {
                for i in 0..IN_PROCESS {
                    black_box(self.quick.get(self.keys[(i % KEYS) as usize].as_str()));
                }
                IN_PROCESS
            }
            1 => {
                for i in 0..IN_PROCESS {
                    black_box(self.moka.get(self.keys[(i % KEYS) as usize].as_str()));
                }
                IN_PROCESS
            }
            2 => {
                for i in 0..IN_PROCESS {
                    let id = i % KEYS;
                    let load = || async move { Ok::<_, ()>(Some(id).into()) };
                    black_box(self.numbers.get_or_load(&NUMBER, key!("user:{id}"), load).await.ok());
                }
                IN_PROCESS
            }
            3 => {
                for i in 0..IN_PROCESS {
                    let found = self.quick_user.get(self.keys[(i % KEYS) as usize].as_str());
                    black_box(found.map(|user| User::clone(&user)));
                }
                IN_PROCESS
            }
            4 => {
                for i in 0..IN_PROCESS {
                    let id = i % KEYS;
                    let load = || async move { Ok::<_, ()>(Some(user(id)).into()) };
                    black_box(self.users.get_or_load(&PLAIN, key!("user:{id}"), load).await.ok());
                }
                IN_PROCESS
            }
            5 => {
                for i in 0..IN_PROCESS {
                    black_box(get_user(&self.memory, i % KEYS).await);
                }
                IN_PROCESS
            }
            6 => {
                for i in 0..IN_REDIS {
                    black_box(self.bare_hit(i).await?);
                }
                IN_REDIS
            }
            7 => {
                for i in 0..IN_REDIS {
                    black_box(self.shared_hit(i).await);
                }
                IN_REDIS
            }
            8 => {
                for i in 0..IN_REDIS {
                    black_box(self.peer_hit(i).await?);
                }
                IN_REDIS
            }
            9 => self.many(async |bench, i| drop(black_box(bench.bare_hit(i).await))).await,
            10 => self.many(async |bench, i| drop(black_box(bench.shared_hit(i).await))).await,
            11 => self.many(async |bench, i| drop(black_box(bench.peer_hit(i).await))).await,
            _ => {
                for i in 0..IN_PROCESS {
                    let key = format!("user:{}", i % KEYS);
                    let found = self.quick_user.get(key.as_str());
                    black_box(found.map(|user| User::clone(&user)));
                }
                IN_PROCESS
            }
        };
        Ok(began.elapsed().as_nanos() as f64 / hits as f64)
    }

    /// So many at once, on one thread.
    async fn many(&self, hit: impl AsyncFn(&Self, i64)) -> i64 {
        let hit = &hit;
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            tasks.push(Box::pin(async move {
                for i in 0..IN_REDIS {
                    hit(self, i * TASKS + task).await;
                }
            }));
        }
        // Polled in turn, which is what a runtime's thread does with its tasks.
        std::future::poll_fn(|context| {
            tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
            if tasks.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        IN_REDIS * TASKS
    }

    async fn bare_hit(&self, i: i64) -> Result<User, Failure> {
        let mut at = self.bare.clone();
        let key = &self.keys[(i % KEYS) as usize];
        let bytes: Vec<u8> = redis::cmd("GET").arg(key).query_async(&mut at).await?;
        Ok(postcard::from_bytes(&bytes)?)
    }

    async fn shared_hit(&self, i: i64) -> Option<User> {
        get_user(&self.shared, i % KEYS).await
    }

    async fn peer_hit(&self, i: i64) -> Result<User, Failure> {
        peer_get_user(i % KEYS).await
    }
}
