use crate::plant::{Decoy, Kind, Plant, Scene, State, Strength};

/// The blog's users, asked for evenly, of a service that keeps what fits into its cache.
const SERVICE: &str = r#"
experiment = "planted"

[postgres]
cpus = 0.2

[dataset]
users = 20000
posts = 1000
comments = 1000
accounts = true

[[request]]
name = "user"
weight = USERS
path = "/api/users/{id}"
parameters = { id = { min = 1, max = 20000 } }
checks = [{ status = 200 }]

[[request]]
name = "db-test"
weight = OTHERS
path = "/benchmark/db-test"
checks = [{ status = 200 }]

[matrix]
connections = ["direct"]
users = [16]
profiles = ["tuned"]

[[app]]
name = "axum"
framework = "axum"
command = ["pinchpoint-app-axum"]
metrics = "/metrics"
health = "/readyz"

[[app.profile]]
name = "tuned"
pool = "16"
connections = 16
env = { DB_POOL_SIZE = 16, WARM = 20000, CACHE_MEMORY = BYTES }
"#;

/// A cache of so many bytes, and in how many of a hundred requests it is asked.
fn cached(bytes: u64, users: u32) -> State {
    let experiment = SERVICE
        .replace("BYTES", &bytes.to_string())
        .replace("USERS", &users.to_string())
        .replace("OTHERS", &(100 - users).to_string());
    State { experiment: Some(experiment), ..State::default() }
}

const ENOUGH: u64 = 256 << 20;
const LITTLE: u64 = 256 << 10;

pub(super) const CACHE: Plant = Plant {
    name: "cache-misses",
    how: "a service that may keep few of 20,000 users: 16 MB of them, 8 MB or 256 kB",
    wanted: &["cache-misses"],
    second: None,
    forbidden: &["missing-index", "pool-wait", "app-cpu"],
    kind: Kind::Bottleneck,
    scene: Scene::default,
    planted: |strength: Strength| cached(strength.of([16 << 20, 8 << 20, LITTLE]), 98),
    removed: |_| cached(ENOUGH, 98),
    decoy: Some(Decoy {
        how: "a cache of 256 kB that one of twenty requests asks",
        forbidden: &["missing-index"],
        planted: || cached(LITTLE, 5),
        removed: || cached(ENOUGH, 5),
    }),
};
