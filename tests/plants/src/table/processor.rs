use std::time::Duration;

use crate::plant::{Beside, Decoy, Kind, Plant, Scene, State, Strength};

use super::{ANALYZE, KEY, TABLE, load, load_with};

/// A statement that computes for about a tenth of a millisecond.
const COMPUTE: &str = "SELECT sum(n) FROM t WHERE id <= 400;\n";
/// A statement that waits on the server for 5 ms and uses no CPU.
const WAIT: &str = "SELECT pg_sleep(0.005) FROM t WHERE id = 1;\n";
const READ: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";
/// One of a client that thinks for half a second before each.
const SELDOM: &str = "\\set id random(1, 10000)\n\\sleep 500 ms\nSELECT x FROM t WHERE id = :id;\n";
const LESS_SELDOM: &str =
    "\\set id random(1, 10000)\n\\sleep 25 ms\nSELECT x FROM t WHERE id = :id;\n";

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const CPU_QUOTA: Plant = Plant {
    name: "cpu-quota",
    how: "the server's control group may use 1, 0.4 or 0.15 CPUs",
    wanted: &["cpu-throttling"],
    second: None,
    forbidden: &["lw-lock", "row-lock", "wal-flush"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| State {
        cpus: Some(strength.of([1.0, 0.4, 0.15])),
        ..load_with(8, COMPUTE, &["-M", "prepared"])
    },
    removed: |_| load_with(8, COMPUTE, &["-M", "prepared"]),
    decoy: Some(Decoy {
        how: "a quota of 0.5 CPUs beside statements that wait for 5 ms each",
        forbidden: &["server-cpu"],
        planted: || State { cpus: Some(0.5), ..load_with(8, WAIT, &["-M", "prepared"]) },
        removed: || load_with(8, WAIT, &["-M", "prepared"]),
    }),
};

/// A statement that goes through so many rows.
fn compute(rows: u32) -> State {
    let script =
        format!("SELECT sum(i % 7) FROM t, generate_series(1, {rows}) i WHERE t.id = 1;\n");
    load_with(8, &script, &["-M", "prepared"])
}

pub(super) const CPU_FOR_REAL: Plant = Plant {
    name: "cpu-for-real",
    how: "statements that compute their answer from 300, 9,000 or 60,000 rows instead of one, and no limit",
    wanted: &["server-cpu"],
    second: None,
    forbidden: &["cpu-throttling", "lw-lock", "row-lock"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| compute(strength.of([300, 9_000, 60_000])),
    removed: |_| compute(1),
    decoy: Some(Decoy {
        how: "another application computes on one of the cores, beside statements that wait for 5 ms each",
        forbidden: &["cpu-throttling", "client-cpu"],
        planted: || State {
            beside: Beside::Session(vec![(
                "SELECT sum(i % 7) FROM generate_series(1, 200000) i",
                Duration::ZERO,
            )]),
            ..load_with(8, WAIT, &["-M", "prepared"])
        },
        removed: || load_with(8, WAIT, &["-M", "prepared"]),
    }),
};

pub(super) const BACKENDS: Plant = Plant {
    name: "many-backends",
    how: "100, 400 or 800 clients with a connection each instead of a pool of 8",
    wanted: &["too-many-backends"],
    second: None,
    forbidden: &["row-lock", "wal-flush"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![("max_connections", "850")],
        init: vec![TABLE, KEY, ANALYZE],
        ..Scene::default()
    },
    planted: |strength: Strength| load(strength.of([100, 400, 800]), READ),
    removed: |strength: Strength| load_with(strength.of([100, 400, 800]), READ, &["--pool", "8"]),
    decoy: Some(Decoy {
        how: "400 connections of clients that think for half a second, instead of 20 that think for 25 ms",
        forbidden: &["server-cpu", "machine-cpu"],
        planted: || load(400, SELDOM),
        removed: || load(20, LESS_SELDOM),
    }),
};
