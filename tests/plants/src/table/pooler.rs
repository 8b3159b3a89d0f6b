use crate::plant::{Kind, MIDDLE, Plant, Scene, State};

/// The blog's `/benchmark/db-test` behind `PgBouncer`, 60 users, by an application that keeps more
/// connections than the pooler has.
const APPLICATION: &str = r#"
experiment = "pooler"

[pgbouncer]
CPUS

[pgbouncer.settings]
pool_mode = "transaction"
default_pool_size = SLOTS
max_client_conn = 200
ignore_startup_parameters = "extra_float_digits"

[dataset]
users = 1000
posts = 5000
comments = 10000

[[request]]
name = "db-test"
path = "/benchmark/db-test"
checks = [{ status = 200 }]

[matrix]
connections = ["pgbouncer"]
users = [60]
profiles = ["tuned"]

[[app]]
name = "axum"
framework = "axum"
command = ["pinchpoint-app-axum"]

[[app.profile]]
name = "tuned"
pool = "60"
connections = 60
env = { DB_POOL_SIZE = 60 }
pgbouncer = { DB_TRANSACTION_POOLING = 1 }
"#;

/// With so many server connections, and PgBouncer held to a part of a CPU.
fn pooled(slots: &str, cpus: &str) -> State {
    let experiment = APPLICATION.replace("SLOTS", slots).replace("CPUS", cpus);
    State { experiment: Some(experiment), ..State::default() }
}

pub(super) const SLOTS: Plant = Plant {
    name: "pooler-slots",
    how: "an application with 60 users behind PgBouncer with a single server connection instead of 20",
    wanted: &["pooler-slots"],
    forbidden: &["server-cpu", "row-lock", "pooler-cpu"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: Scene::default,
    planted: |_| pooled("1", ""),
    removed: || pooled("20", ""),
};

pub(super) const CPU: Plant = Plant {
    name: "pooler-cpu",
    how: "the same with 20 of them, and PgBouncer held to a tenth of a CPU",
    wanted: &["pooler-cpu"],
    forbidden: &["server-cpu", "pooler-slots", "row-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: Scene::default,
    planted: |_| pooled("20", "cpus = 0.1"),
    removed: || pooled("20", ""),
};
