use std::time::Duration;

use crate::delays::Slow;
use crate::plant::{ALL, Beside, Kind, MIDDLE, Plant, Scene, State, Strength};

use super::{ANALYZE, load, load_with};

const COUNTERS: &[&str] = &[
    "CREATE TABLE counter (id int PRIMARY KEY, n bigint) WITH (fillfactor = 50)",
    "INSERT INTO counter SELECT i, 0 FROM generate_series(1, 1000) i",
    ANALYZE,
];
const SPREAD: &str = "\\set id random(1, 1000)\nUPDATE counter SET n = n + 1 WHERE id = :id;\n";

fn scene() -> Scene {
    Scene { delays: true, init: COUNTERS.to_vec(), ..Scene::default() }
}

/// A row changed, and 2 ms on the server before the commit.
fn held(row: &str) -> String {
    format!(
        "\\set id {row}\nBEGIN;\nUPDATE counter SET n = n + 1 WHERE id = :id;\n\
         SELECT pg_sleep(0.002);\nEND;\n"
    )
}

pub(super) const HOT_ROW: Plant = Plant {
    name: "hot-row",
    how: "8 clients change one of 20, one of 4 or one row, and hold it for 2 ms",
    wanted: &["row-lock"],
    forbidden: &["wal-flush", "lw-lock", "server-cpu"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene,
    planted: |strength: Strength| {
        load(8, &held(strength.of(["random(1, 20)", "random(1, 2)", "1"])))
    },
    removed: || load(8, &held("random(1, 1000)")),
};

pub(super) const HOT_ROW_FLUSH: Plant = Plant {
    name: "hot-row-and-fsync-delay",
    how: "8 clients change one row, and each flush takes 2 ms longer: the hold is the flush",
    wanted: &["row-lock"],
    forbidden: &["lw-lock", "server-cpu", "serial-round-trips"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| State {
        slow: vec![(Slow::WalSync, Duration::from_millis(2))],
        ..load(8, "UPDATE counter SET n = n + 1 WHERE id = 1;\n")
    },
    removed: || State { slow: vec![(Slow::WalSync, Duration::from_millis(2))], ..load(8, SPREAD) },
};

pub(super) const IDLE_BLOCKER: Plant = Plant {
    name: "idle-blocker",
    how: "another application changes one of 4 hot rows and is idle in its transaction for 300 ms",
    wanted: &["row-lock"],
    forbidden: &["autovacuum", "wal-flush", "server-cpu"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| State {
        beside: Beside::Session(vec![
            ("BEGIN", Duration::ZERO),
            ("UPDATE counter SET n = n WHERE id = 1", Duration::from_millis(300)),
            ("COMMIT", Duration::from_millis(30)),
        ]),
        ..load(8, "\\set id random(1, 4)\nUPDATE counter SET n = n + 1 WHERE id = :id;\n")
    },
    removed: || load(8, "\\set id random(1, 4)\nUPDATE counter SET n = n + 1 WHERE id = :id;\n"),
};

pub(super) const TABLE_LOCK: Plant = Plant {
    name: "table-lock",
    how: "another application locks the table for 100 ms of every 130",
    wanted: &["object-lock"],
    forbidden: &["row-lock", "server-cpu", "wal-flush"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| State {
        beside: Beside::Session(vec![
            ("BEGIN", Duration::ZERO),
            ("LOCK TABLE counter", Duration::from_millis(100)),
            ("COMMIT", Duration::from_millis(30)),
        ]),
        ..load_with(8, SPREAD, &["-M", "prepared"])
    },
    removed: || load_with(8, SPREAD, &["-M", "prepared"]),
};

/// What another application forgot: a prepared transaction with so many subtransactions that whoever
/// looks at a row written since must look up in `pg_subtrans` whose it is.
const FORGOTTEN: &str = "BEGIN; INSERT INTO log VALUES (0); \
    DO $$ BEGIN FOR i IN 1..100 LOOP \
    BEGIN INSERT INTO log VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; \
    END LOOP; END $$; PREPARE TRANSACTION 'forgotten'";
/// Rows with a transaction number each, in another order than their keys: 74 pages of `pg_subtrans`,
/// of which the server keeps 32.
const ROWS: &str = "DO $$ BEGIN FOR i IN 1..150000 LOOP \
    BEGIN INSERT INTO t VALUES (i::bigint * 7919 % 150000, i); \
    EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$";
const RANGE: &str = "\\set id random(1, 149000)\n\
                     SELECT count(n) FROM t WHERE id BETWEEN :id AND :id + 100;\n";

pub(super) const SUBTRANSACTIONS: Plant = Plant {
    name: "subtransactions",
    how: "another application's prepared transaction with 100 savepoints, and rows of 150,000 \
          subtransactions written since",
    wanted: &["lw-lock"],
    forbidden: &["row-lock", "object-lock", "data-io"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: || Scene {
        settings: vec![
            ("max_prepared_transactions", "1"),
            ("autovacuum", "off"),
            ("synchronous_commit", "off"),
        ],
        init: vec!["CREATE TABLE log (n int)", "CREATE TABLE t (id int PRIMARY KEY, n int)"],
        ..Scene::default()
    },
    planted: |_| State {
        before: vec![FORGOTTEN, ROWS],
        ..load_with(16, RANGE, &["-M", "prepared"])
    },
    removed: || State {
        before: vec!["ROLLBACK PREPARED 'forgotten'"],
        ..load_with(16, RANGE, &["-M", "prepared"])
    },
};

const APPEND: &str = "INSERT INTO readings (sensor, value) \
                      SELECT i % 97, i FROM generate_series(1, 500) i;\n";

pub(super) const RIGHT_END: Plant = Plant {
    name: "right-end",
    how: "64 clients that write 500 rows at a time at the end of one table with a serial key, instead of \
          4 of them at a time",
    wanted: &["lw-lock", "too-many-backends"],
    forbidden: &["row-lock", "wal-flush", "server-cpu"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: || Scene {
        settings: vec![("max_connections", "120"), ("max_wal_size", "8GB")],
        init: vec!["CREATE TABLE readings (id bigserial PRIMARY KEY, sensor int, value int)"],
        ..Scene::default()
    },
    planted: |_| load_with(64, APPEND, &["-M", "prepared"]),
    removed: || load_with(64, APPEND, &["-M", "prepared", "--pool", "4"]),
};
