use std::time::Duration;

use crate::delays::Slow;
use crate::plant::{ALL, Kind, MIDDLE, Plant, Scene, State, Strength};

use super::{ANALYZE, KEY, TABLE, load, load_with};

pub(super) const INSERT: &str = "\\set n random(1, 1000000)\nINSERT INTO log VALUES (:n);\n";
pub(super) const LOG: &str = "CREATE TABLE log (n bigint)";
const READ: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";
const READ_WIDE: &str = "\\set id random(1, 40000)\nSELECT length(x) FROM wide WHERE id = :id;\n";
const UPDATE_WIDE: &str = "\\set id random(1, 40000)\nUPDATE wide SET n = n + 1 WHERE id = :id;\n";

/// Forty megabytes in 40,000 rows.
const WIDE: &[&str] = &[
    "CREATE TABLE wide (id int, n int, x text)",
    "ALTER TABLE wide ALTER x SET STORAGE PLAIN",
    "INSERT INTO wide SELECT i, 0, repeat('x', 900) FROM generate_series(1, 40000) i",
    "ALTER TABLE wide ADD PRIMARY KEY (id)",
    ANALYZE,
];

pub(super) const FSYNC_DELAY: Plant = Plant {
    name: "fsync-delay",
    how: "each flush of the WAL takes 0.1, 2 or 10 ms longer",
    wanted: &["wal-flush"],
    forbidden: &["lw-lock", "row-lock", "server-cpu"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene: || Scene { delays: true, init: vec![LOG], ..Scene::default() },
    planted: |strength: Strength| State {
        slow: vec![(Slow::WalSync, Duration::from_micros(strength.of([100, 2_000, 10_000])))],
        ..load_with(8, INSERT, &["-M", "prepared"])
    },
    removed: || load_with(8, INSERT, &["-M", "prepared"]),
};

pub(super) const FSYNC_DECOY: Plant = Plant {
    name: "fsync-decoy",
    how: "the same delay, 10 ms, beside a load that only reads",
    wanted: &[],
    forbidden: &["wal-flush", "data-io", "checkpoints"],
    kind: Kind::Decoy,
    strengths: MIDDLE,
    scene: || Scene { delays: true, init: vec![TABLE, KEY, ANALYZE], ..Scene::default() },
    planted: |_| State {
        slow: vec![(Slow::WalSync, Duration::from_millis(10))],
        ..load_with(8, READ, &["-M", "prepared"])
    },
    removed: || load_with(8, READ, &["-M", "prepared"]),
};

pub(super) const SLOW_READS: Plant = Plant {
    name: "slow-reads",
    how: "shared buffers of 1 MB for a table of 40, each read 0.05, 0.5 or 5 ms longer",
    wanted: &["data-io"],
    forbidden: &["server-cpu", "wal-flush", "lw-lock"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene: || Scene {
        settings: vec![("shared_buffers", "1MB")],
        delays: true,
        init: WIDE.to_vec(),
        ..Scene::default()
    },
    planted: |strength: Strength| State {
        slow: vec![(Slow::DataRead, Duration::from_micros(strength.of([50, 500, 5_000])))],
        ..load_with(8, READ_WIDE, &["-M", "prepared"])
    },
    removed: || load_with(8, READ_WIDE, &["-M", "prepared"]),
};

pub(super) const CHECKPOINTS: Plant = Plant {
    name: "checkpoint-storm",
    how: "max_wal_size of 32 MB, random updates, so a checkpoint every other second",
    wanted: &["checkpoints"],
    forbidden: &["row-lock", "lw-lock", "inconclusive"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: || Scene { init: WIDE.to_vec(), ..Scene::default() },
    planted: |_| State {
        before: vec!["ALTER SYSTEM SET max_wal_size = '32MB'", "SELECT pg_reload_conf()"],
        ..load(8, UPDATE_WIDE)
    },
    removed: || State {
        before: vec!["ALTER SYSTEM SET max_wal_size = '4GB'", "SELECT pg_reload_conf()"],
        ..load(8, UPDATE_WIDE)
    },
};

const READ_LARGE: &str =
    "\\set id random(1, 160000)\nSELECT length(x) FROM large WHERE id = :id;\n";

pub(super) const MEMORY: Plant = Plant {
    name: "memory",
    how: "a memory limit of 64 MB for the server, whose table of 160 MB is read through the page cache",
    wanted: &["memory"],
    forbidden: &["server-cpu", "wal-flush", "lw-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: || Scene {
        settings: vec![("shared_buffers", "8MB")],
        init: vec![
            "CREATE TABLE large (id int, x text)",
            "ALTER TABLE large ALTER x SET STORAGE PLAIN",
            "INSERT INTO large SELECT i, repeat('x', 900) FROM generate_series(1, 160000) i",
            "ALTER TABLE large ADD PRIMARY KEY (id)",
            ANALYZE,
        ],
        memory_bytes: Some(1 << 30),
        ..Scene::default()
    },
    planted: |_| State {
        memory_bytes: Some(64 << 20),
        ..load_with(8, READ_LARGE, &["-M", "prepared"])
    },
    removed: || load_with(8, READ_LARGE, &["-M", "prepared"]),
};
