use crate::plant::{Decoy, Kind, Plant, Scene, State};

/// An application that asks for 10 MB a request, and reads them as `PAUSE` says.
const APPLICATION: &str = r#"
experiment = "slow-reader"

[dataset]
users = 10
posts = 10
comments = 10

[[request]]
name = "read"
path = "/read"
checks = [{ status = 200 }]

[matrix]
connections = ["direct"]
users = [8]
profiles = ["tuned"]

[[app]]
name = "reader"
command = ["plants-reader"]

[[app.profile]]
name = "tuned"
pool = "8"
connections = 8
env = { DB_POOL_SIZE = 8PAUSE }
"#;

fn reading(pause_every: Option<u32>) -> State {
    let pause = pause_every.map_or_else(String::new, |rows| format!(", PAUSE_EVERY = {rows}"));
    State { experiment: Some(APPLICATION.replace("PAUSE", &pause)), ..State::default() }
}

pub(super) const SLOW_READER: Plant = Plant {
    name: "slow-reader",
    how: "an application that stops for a millisecond after each 400, 100 or 20 of the 5,000 rows of 2 kB that it reads",
    wanted: &["slow-reader"],
    second: None,
    forbidden: &["network", "idle-in-transaction", "server-cpu", "app-cpu"],
    kind: Kind::Bottleneck,
    scene: Scene::default,
    planted: |strength| reading(Some(strength.of([400, 100, 20]))),
    removed: |_| reading(None),
    decoy: Some(Decoy {
        how: "it stops once a request, after the last row",
        forbidden: &["network"],
        planted: || reading(Some(5_000)),
        removed: || reading(None),
    }),
};
