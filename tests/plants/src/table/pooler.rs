use crate::plant::{Decoy, Kind, Plant, Scene, State, Strength};

/// The blog's `/benchmark/db-test` with 60 users, by an application that keeps a connection for each.
const APPLICATION: &str = r#"
experiment = "planted"
POOLER
[postgres]
SERVER

[dataset]
users = 1000
posts = 5000
comments = 10000

[[request]]
name = "db-test"
path = "/benchmark/db-test"
checks = [{ status = 200 }]

[matrix]
connections = ["WAY"]
users = [60]
profiles = ["tuned"]

[[app]]
name = "axum"
framework = "axum"
command = ["pinchpoint-app-axum"]
APP

[[app.profile]]
name = "tuned"
pool = "60"
connections = 60
env = { DB_POOL_SIZE = 60 }
pgbouncer = { DB_TRANSACTION_POOLING = 1 }
"#;

/// A `PgBouncer` that has fewer server connections than the application asks of it.
const POOLER: &str = r#"
[pgbouncer]
CPUS

[pgbouncer.settings]
pool_mode = "transaction"
default_pool_size = SLOTS
max_client_conn = 200
ignore_startup_parameters = "extra_float_digits"
"#;

/// Behind so many server connections, with `PgBouncer` held to a part of a CPU.
fn pooled(slots: &str, cpus: &str) -> State {
    let pooler = POOLER.replace("SLOTS", slots).replace("CPUS", cpus);
    application(&pooler, "pgbouncer", "", "")
}

/// Straight to the server, application and server held to a part of a CPU.
fn direct(app: &str, server: &str) -> State {
    application("", "direct", app, server)
}

fn application(pooler: &str, way: &str, app: &str, server: &str) -> State {
    let experiment = APPLICATION
        .replace("POOLER", pooler)
        .replace("WAY", way)
        .replace("APP", app)
        .replace("SERVER", server);
    State { experiment: Some(experiment), ..State::default() }
}

pub(super) const SLOTS: Plant = Plant {
    name: "pooler-slots",
    how: "an application with 60 users behind PgBouncer with 3, 2 or 1 server connections instead of 20",
    wanted: &["pooler-slots"],
    second: None,
    forbidden: &["server-cpu", "row-lock", "pooler-cpu"],
    kind: Kind::Bottleneck,
    scene: Scene::default,
    planted: |strength: Strength| pooled(strength.of(["3", "2", "1"]), ""),
    removed: |_| pooled("20", ""),
    decoy: Some(Decoy {
        how: "10 of them: 50 clients wait, and 20 would give no more",
        forbidden: &["pooler-cpu", "pool-wait"],
        planted: || pooled("10", ""),
        removed: || pooled("20", ""),
    }),
};

pub(super) const CPU: Plant = Plant {
    name: "pooler-cpu",
    how: "the same with 20 of them, and PgBouncer held to 0.25, 0.1 or 0.03 CPUs",
    wanted: &["pooler-cpu"],
    second: None,
    forbidden: &["server-cpu", "pooler-slots", "row-lock"],
    kind: Kind::Bottleneck,
    scene: Scene::default,
    planted: |strength: Strength| {
        pooled("20", strength.of(["cpus = 0.25", "cpus = 0.1", "cpus = 0.03"]))
    },
    removed: |_| pooled("20", ""),
    decoy: Some(Decoy {
        how: "PgBouncer held to 0.8 CPUs, which it does not need",
        forbidden: &["pooler-slots"],
        planted: || pooled("20", "cpus = 0.8"),
        removed: || pooled("20", ""),
    }),
};

pub(super) const APP_CPU: Plant = Plant {
    name: "app-cpu",
    how: "the same application without a pooler, held to 0.4, 0.2 or 0.05 CPUs",
    wanted: &["app-cpu"],
    second: None,
    forbidden: &["server-cpu", "pool-wait", "serial-round-trips"],
    kind: Kind::Bottleneck,
    scene: Scene::default,
    planted: |strength: Strength| {
        direct(strength.of(["cpus = 0.4", "cpus = 0.2", "cpus = 0.05"]), "")
    },
    removed: |_| direct("", ""),
    decoy: Some(Decoy {
        how: "the application held to 0.5 CPUs, and the server to 0.2, which ends sooner",
        forbidden: &["machine-cpu"],
        planted: || direct("cpus = 0.5", "cpus = 0.2"),
        removed: || direct("", "cpus = 0.2"),
    }),
};
