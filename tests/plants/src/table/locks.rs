use std::time::Duration;

use crate::delays::Slow;
use crate::plant::{Beside, Decoy, Kind, Plant, Scene, State, Strength};

use super::{ANALYZE, load, load_with};

const COUNTERS: &[&str] = &[
    "CREATE TABLE counter (id int PRIMARY KEY, n bigint) WITH (fillfactor = 50)",
    "INSERT INTO counter SELECT i, 0 FROM generate_series(1, 1001) i",
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
    how: "8 clients change one of 10, one of 2 or one row, and hold it for 2 ms",
    wanted: &["row-lock"],
    second: None,
    forbidden: &["wal-flush", "lw-lock", "server-cpu"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| {
        load(8, &held(strength.of(["random(1, 10)", "random(1, 2)", "1"])))
    },
    removed: |_| load(8, &held("random(1, 1000)")),
    decoy: Some(Decoy {
        how: "one of 200 rows, which seldom are wanted by two at once",
        forbidden: &["object-lock", "lw-lock"],
        planted: || load(8, &held("random(1, 200)")),
        removed: || load(8, &held("random(1, 1000)")),
    }),
};

/// Clients that change rows, each flush of which takes 2 ms longer.
fn flushed(clients: u32, row: &str) -> State {
    let script = format!("\\set id {row}\nUPDATE counter SET n = n + 1 WHERE id = :id;\n");
    State { slow: vec![(Slow::WalSync, Duration::from_millis(2))], ..load(clients, &script) }
}

pub(super) const HOT_ROW_FLUSH: Plant = Plant {
    name: "hot-row-and-fsync-delay",
    how: "8 clients change one of 6 rows or one, or 24 one, and each flush takes 2 ms longer: the hold is the flush",
    wanted: &["row-lock"],
    second: Some("wal-flush"),
    forbidden: &["lw-lock", "server-cpu", "serial-round-trips"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| {
        flushed(strength.of([8, 8, 24]), strength.of(["random(1, 6)", "1", "1"]))
    },
    removed: |strength: Strength| flushed(strength.of([8, 8, 24]), "random(1, 1000)"),
    decoy: Some(Decoy {
        how: "the flushes alone: one of 200 rows, which seldom are wanted by two at once",
        forbidden: &["object-lock", "lw-lock"],
        planted: || flushed(8, "random(1, 200)"),
        removed: || flushed(8, "random(1, 1000)"),
    }),
};

/// Another application that changes a row and is idle in its transaction.
fn blocking(update: &'static str, held_ms: u64, pause_ms: u64) -> Beside {
    Beside::Session(vec![
        ("BEGIN", Duration::ZERO),
        (update, Duration::from_millis(held_ms)),
        ("COMMIT", Duration::from_millis(pause_ms)),
    ])
}

const ONE_OF_FOUR: &str = "\\set id random(1, 4)\nUPDATE counter SET n = n + 1 WHERE id = :id;\n";

pub(super) const IDLE_BLOCKER: Plant = Plant {
    name: "idle-blocker",
    how: "another application changes one of 4 hot rows and is idle in its transaction for 40 ms of every 140, \
          300 of 330 or 1,000 of 1,030",
    wanted: &["row-lock"],
    second: None,
    forbidden: &["autovacuum", "wal-flush", "server-cpu"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| State {
        beside: blocking(
            "UPDATE counter SET n = n WHERE id = 1",
            strength.of([40, 300, 1_000]),
            strength.of([100, 30, 30]),
        ),
        ..load(8, ONE_OF_FOUR)
    },
    removed: |_| load(8, ONE_OF_FOUR),
    decoy: Some(Decoy {
        how: "the same 300 of 330 ms with a row that nobody else wants, beside rows that seldom are",
        forbidden: &["idle-in-transaction", "object-lock"],
        planted: || State {
            beside: blocking("UPDATE counter SET n = n WHERE id = 1001", 300, 30),
            ..load(8, SPREAD)
        },
        removed: || load(8, SPREAD),
    }),
};

/// Another application that locks a table for some of its time.
fn locking(lock: &'static str, held_ms: u64, pause_ms: u64) -> Beside {
    Beside::Session(vec![
        ("BEGIN", Duration::ZERO),
        (lock, Duration::from_millis(held_ms)),
        ("COMMIT", Duration::from_millis(pause_ms)),
    ])
}

pub(super) const TABLE_LOCK: Plant = Plant {
    name: "table-lock",
    how: "another application locks the table for 60 ms of every 120, 100 of 130 or 600 of 630",
    wanted: &["object-lock"],
    second: None,
    forbidden: &["row-lock", "server-cpu", "wal-flush"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| State {
        beside: locking(
            "LOCK TABLE counter",
            strength.of([60, 100, 600]),
            strength.of([60, 30, 30]),
        ),
        ..load_with(8, SPREAD, &["-M", "prepared"])
    },
    removed: |_| load_with(8, SPREAD, &["-M", "prepared"]),
    decoy: Some(Decoy {
        how: "the same 100 of 130 ms with a lock that lets writers in",
        forbidden: &["row-lock", "idle-in-transaction"],
        planted: || State {
            beside: locking("LOCK TABLE counter IN ROW EXCLUSIVE MODE", 100, 30),
            ..load_with(8, SPREAD, &["-M", "prepared"])
        },
        removed: || load_with(8, SPREAD, &["-M", "prepared"]),
    }),
};

/// What another application forgot: a prepared transaction with so many subtransactions that whoever
/// looks at a row written since must look up in `pg_subtrans` whose it is.
const FORGOTTEN: &str = "BEGIN; INSERT INTO log VALUES (0); \
    DO $$ BEGIN FOR i IN 1..100 LOOP \
    BEGIN INSERT INTO log VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; \
    END LOOP; END $$; PREPARE TRANSACTION 'forgotten'";
/// The same with so few that each session can keep them in mind.
const FORGOTTEN_FEW: &str = "BEGIN; INSERT INTO log VALUES (0); \
    DO $$ BEGIN FOR i IN 1..10 LOOP \
    BEGIN INSERT INTO log VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; \
    END LOOP; END $$; PREPARE TRANSACTION 'few'";
/// Rows with a transaction number each, in another order than their keys: 74 pages of `pg_subtrans`,
/// of which the server keeps 32.
const ROWS: &str = "DO $$ BEGIN FOR i IN 1..150000 LOOP \
    BEGIN INSERT INTO t VALUES (i::bigint * 7919 % 150000, i); \
    EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$";
/// Rows of `t` with a new transaction number each.
const SINCE: &str = "DO $$ BEGIN FOR i IN 1..20000 LOOP \
    BEGIN UPDATE t SET n = n WHERE id = i; \
    EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$";
/// Rows of one transaction.
const PLAIN_ROWS: &str = "INSERT INTO plain SELECT i, i FROM generate_series(0, 149999) i";

/// Reads so many of 300 rows from the table whose rows have a subtransaction each.
fn ranges(rows: u32) -> State {
    let script = format!(
        "\\set id random(1, 149000)\n\
         SELECT (SELECT count(n) FROM t WHERE id BETWEEN :id AND :id + {rows}), \
         (SELECT count(n) FROM plain WHERE id BETWEEN :id AND :id + {});\n",
        300 - rows
    );
    load_with(16, &script, &["-M", "prepared"])
}

pub(super) const SUBTRANSACTIONS: Plant = Plant {
    name: "subtransactions",
    how: "another application's prepared transaction with 100 savepoints, and 30, 100 or 300 rows read of \
          150,000 subtransactions since",
    wanted: &["lw-lock"],
    second: None,
    forbidden: &["row-lock", "object-lock", "data-io"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![
            ("max_prepared_transactions", "1"),
            ("autovacuum", "off"),
            ("synchronous_commit", "off"),
        ],
        init: vec![
            "CREATE TABLE log (n int)",
            "CREATE TABLE t (id int PRIMARY KEY, n int)",
            "CREATE TABLE plain (id int PRIMARY KEY, n int)",
            PLAIN_ROWS,
            FORGOTTEN,
            ROWS,
        ],
        ..Scene::default()
    },
    planted: |strength: Strength| ranges(strength.of([30, 100, 300])),
    // Each reads as many rows: without lookups they cost the same.
    removed: |_| State { before: vec!["ROLLBACK PREPARED 'forgotten'"], ..ranges(100) },
    decoy: Some(Decoy {
        how: "a prepared transaction with 10 savepoints, which each session keeps in mind",
        forbidden: &["data-io"],
        planted: || State { before: vec![FORGOTTEN_FEW, SINCE], ..ranges(300) },
        removed: || State { before: vec!["ROLLBACK PREPARED 'few'"], ..ranges(300) },
    }),
};

/// Rows written at the end of one table, which has a serial key.
const APPEND: &str = "INSERT INTO readings (sensor, value) \
                      SELECT i % 97, i FROM generate_series(1, 500) i;\n";
const SELDOM: &str =
    "SELECT pg_sleep(0.05);\nINSERT INTO readings (sensor, value) VALUES (1, 2);\n";

pub(super) const RIGHT_END: Plant = Plant {
    name: "right-end",
    how: "16, 64 or 110 clients that write 500 rows at a time at the end of one table with a serial key, instead \
          of 4 of them at a time",
    wanted: &["lw-lock", "too-many-backends"],
    second: None,
    forbidden: &["row-lock", "wal-flush", "server-cpu"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![("max_connections", "130"), ("max_wal_size", "8GB")],
        init: vec!["CREATE TABLE readings (id bigserial PRIMARY KEY, sensor int, value int)"],
        ..Scene::default()
    },
    planted: |strength: Strength| {
        load_with(strength.of([16, 64, 110]), APPEND, &["-M", "prepared"])
    },
    removed: |strength: Strength| {
        load_with(strength.of([16, 64, 110]), APPEND, &["-M", "prepared", "--pool", "4"])
    },
    decoy: Some(Decoy {
        how: "64 clients that write a row there every 50 ms",
        forbidden: &["object-lock", "row-lock"],
        planted: || load_with(64, SELDOM, &["-M", "prepared"]),
        removed: || load_with(64, "SELECT pg_sleep(0.05);\n", &["-M", "prepared"]),
    }),
};
