use std::fmt::Write;
use std::time::Duration;

use crate::plant::{Beside, Decoy, Kind, Plant, Scene, State, Strength};

use super::{ANALYZE, KEY, TABLE, load_with};

/// A statement that waits on the server for 2 ms and uses no CPU.
const WAIT: &str = "SELECT pg_sleep(0.002) FROM t WHERE id = 1;\n";
/// One that computes for milliseconds.
const COMPUTE: &str = "SELECT sum(i % 7) FROM generate_series(1, 20000) i;\n";
const READ: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";
const NOT_HELD: &str = "\\set id random(1, 10000)\nBEGIN;\nSELECT x FROM t WHERE id = :id;\n\
    SELECT n FROM t WHERE id = :id;\nEND;\n";

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const TINY_POOL: Plant = Plant {
    name: "tiny-pool",
    how: "50 clients, statements of 2 ms, and a pool of 15, 10 or 2",
    wanted: &["pool-wait"],
    second: None,
    forbidden: &["server-cpu", "wal-flush", "idle-in-transaction"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| {
        load_with(50, WAIT, &["--jobs", "1", "--pool", strength.of(["15", "10", "2"])])
    },
    removed: |_| load_with(50, WAIT, &["--jobs", "1", "--pool", "50"]),
    decoy: Some(Decoy {
        how: "50 clients and a pool of 4, whose statements keep both cores busy",
        forbidden: &["pooler-slots"],
        planted: || load_with(50, COMPUTE, &["-M", "prepared", "--pool", "4"]),
        removed: || load_with(50, COMPUTE, &["-M", "prepared", "--pool", "50"]),
    }),
};

/// Two statements of a transaction with so many milliseconds between them.
fn held(ms: u32) -> String {
    NOT_HELD.replacen("\nSELECT n", &format!("\n\\sleep {ms} ms\nSELECT n"), 1)
}

pub(super) const POOL_HELD: Plant = Plant {
    name: "pool-held",
    how: "50 clients, a pool of 10, and 1, 20 or 100 ms idle within each transaction",
    wanted: &["idle-in-transaction"],
    second: None,
    forbidden: &["server-cpu", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| {
        load_with(50, &held(strength.of([1, 20, 100])), &["--pool", "10"])
    },
    removed: |_| load_with(50, NOT_HELD, &["--pool", "10"]),
    decoy: Some(Decoy {
        how: "another application, idle in a transaction all the time, which nobody waits for",
        forbidden: &["row-lock", "object-lock", "bloat"],
        planted: || State {
            beside: Beside::Session(vec![
                ("BEGIN", Duration::ZERO),
                ("SELECT count(*) FROM t", Duration::from_secs(600)),
            ]),
            ..load_with(50, NOT_HELD, &["--pool", "10"])
        },
        removed: || load_with(50, NOT_HELD, &["--pool", "10"]),
    }),
};

/// A look-up after a wait of so many milliseconds on the server.
fn after(ms: u32) -> String {
    format!("SELECT pg_sleep({ms} / 1000.0);\n{READ}")
}

pub(super) const CONNECT: Plant = Plant {
    name: "connect-per-operation",
    how: "a new connection with SCRAM for each transaction of 20 or 10 ms, or for one of less than one",
    wanted: &["connection-setup"],
    second: None,
    forbidden: &["serial-round-trips", "network", "wal-flush"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| load_with(4, &transaction(strength), &["--connect"]),
    removed: |strength: Strength| load_with(4, &transaction(strength), &[]),
    decoy: Some(Decoy {
        how: "a new connection for each transaction of 200 ms",
        forbidden: &["serial-round-trips"],
        planted: || load_with(4, &after(200), &["--connect"]),
        removed: || load_with(4, &after(200), &[]),
    }),
};

pub(super) const CONNECT_TLS: Plant = Plant {
    name: "connect-with-tls",
    how: "the same by TLS, whose keys are agreed on each time",
    scene: || Scene { tls: true, ..scene() },
    ..CONNECT
};

fn transaction(strength: Strength) -> String {
    match strength {
        Strength::Weak => after(20),
        Strength::Middle => after(10),
        Strength::Strong => READ.to_owned(),
    }
}

/// So many expressions, and then a statement.
fn expressions(count: usize, statement: &str) -> State {
    let mut script = String::new();
    for i in 0..count {
        let _ = writeln!(script, "\\set v{} random_gaussian(1, 1000000, 4.0)", i % 10);
    }
    load_with(8, &format!("{script}{statement}"), &["--jobs", "1", "-M", "prepared"])
}

pub(super) const CLIENT_CPU: Plant = Plant {
    name: "client-cpu",
    how: "200, 3,000 or 20,000 expressions computed by the client for each statement, on one load thread",
    wanted: &["client-cpu"],
    second: None,
    forbidden: &["server-cpu", "wal-flush", "row-lock", "lw-lock"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| expressions(strength.of([200, 3_000, 20_000]), READ),
    removed: |_| expressions(0, READ),
    decoy: Some(Decoy {
        how: "1,000 expressions for each statement, which the server takes 20 ms for",
        forbidden: &["server-cpu"],
        planted: || expressions(1_000, "SELECT pg_sleep(0.02);\n"),
        removed: || expressions(0, "SELECT pg_sleep(0.02);\n"),
    }),
};

/// A wait of so many seconds, and then four statements that compute.
fn computing_after(wait: &str) -> String {
    format!("SELECT pg_sleep({wait});\n{}", COMPUTE.repeat(4))
}

pub(super) const SERVER_WAIT: Plant = Plant {
    name: "server-wait",
    how: "8 clients whose statements wait on purpose for 0.2, 2 or 20 ms on the server (pg_sleep)",
    wanted: &["server-wait"],
    second: None,
    forbidden: &["serial-round-trips", "server-cpu", "wal-flush"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| {
        let script = format!("SELECT pg_sleep({});\n", strength.of(["0.0002", "0.002", "0.02"]));
        load_with(8, &script, &["-M", "prepared"])
    },
    removed: |_| load_with(8, "SELECT pg_sleep(0);\n", &["-M", "prepared"]),
    decoy: Some(Decoy {
        how: "a wait of 1 ms in statements that keep both cores busy for longer",
        forbidden: &["row-lock", "object-lock"],
        planted: || load_with(8, &computing_after("0.001"), &[]),
        removed: || load_with(8, &computing_after("0"), &[]),
    }),
};
