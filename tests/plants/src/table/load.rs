use std::fmt::Write;

use crate::plant::{ALL, Kind, MIDDLE, Plant, Scene, Strength};

use super::{ANALYZE, KEY, TABLE, load_with};

/// A statement that waits on the server for 2 ms and uses no CPU.
const WAIT: &str = "SELECT pg_sleep(0.002) FROM t WHERE id = 1;\n";
const READ: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";
const HELD: &str = "\\set id random(1, 10000)\nBEGIN;\nSELECT x FROM t WHERE id = :id;\n\
    \\sleep 20 ms\nSELECT n FROM t WHERE id = :id;\nEND;\n";
const NOT_HELD: &str = "\\set id random(1, 10000)\nBEGIN;\nSELECT x FROM t WHERE id = :id;\n\
    SELECT n FROM t WHERE id = :id;\nEND;\n";

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const TINY_POOL: Plant = Plant {
    name: "tiny-pool",
    how: "50 clients, statements of 2 ms, and a pool of 30, 10 or 2",
    wanted: &["pool-wait"],
    forbidden: &["server-cpu", "wal-flush", "idle-in-transaction"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene,
    planted: |strength: Strength| {
        load_with(50, WAIT, &["--jobs", "1", "--pool", strength.of(["30", "10", "2"])])
    },
    removed: || load_with(50, WAIT, &["--jobs", "1", "--pool", "50"]),
};

pub(super) const POOL_HELD: Plant = Plant {
    name: "pool-held",
    how: "50 clients, a pool of 10, and 20 ms idle within each transaction",
    wanted: &["idle-in-transaction"],
    forbidden: &["server-cpu", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| load_with(50, HELD, &["--pool", "10"]),
    removed: || load_with(50, NOT_HELD, &["--pool", "10"]),
};

pub(super) const CONNECT: Plant = Plant {
    name: "connect-per-operation",
    how: "a new connection with SCRAM for each transaction",
    wanted: &["connection-setup"],
    forbidden: &["serial-round-trips", "network", "wal-flush"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| load_with(4, READ, &["--connect"]),
    removed: || load_with(4, READ, &[]),
};

pub(super) const CLIENT_CPU: Plant = Plant {
    name: "client-cpu",
    how: "3,000 expressions computed by the client for each statement, on one load thread",
    wanted: &["client-cpu"],
    forbidden: &["server-cpu", "wal-flush", "row-lock", "lw-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| {
        let mut script = String::new();
        for i in 0..3_000 {
            let _ = writeln!(script, "\\set v{} random_gaussian(1, 1000000, 4.0)", i % 10);
        }
        load_with(8, &format!("{script}{READ}"), &["--jobs", "1", "-M", "prepared"])
    },
    removed: || load_with(8, READ, &["--jobs", "1", "-M", "prepared"]),
};
