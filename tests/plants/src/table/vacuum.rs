use std::time::Duration;

use crate::plant::{Beside, Decoy, Kind, Plant, Scene, State, Strength};

use super::{ANALYZE, load, load_with};

/// Dead rows for each of a table's 100, made within one transaction, so that nothing prunes them.
const fn dead(strength: Strength) -> &'static str {
    strength.of([
        "DO $$ BEGIN FOR i IN 1..40 LOOP UPDATE queue SET n = n + 1; END LOOP; END $$",
        "DO $$ BEGIN FOR i IN 1..200 LOOP UPDATE queue SET n = n + 1; END LOOP; END $$",
        "DO $$ BEGIN FOR i IN 1..1000 LOOP UPDATE queue SET n = n + 1; END LOOP; END $$",
    ])
}

/// Another application's transaction, which began before and goes on.
fn old_transaction() -> Beside {
    Beside::Session(vec![
        ("BEGIN ISOLATION LEVEL REPEATABLE READ", Duration::ZERO),
        ("SELECT count(*) FROM queue", Duration::from_secs(600)),
    ])
}

const UPDATE: &str = "\\set id random(1, 100)\nUPDATE queue SET n = n + 1 WHERE id = :id;\n";
const READ_KEPT: &str = "\\set id random(1, 10000)\nSELECT x FROM kept WHERE id = :id;\n";

pub(super) const BLOAT: Plant = Plant {
    name: "vacuum-off",
    how: "autovacuum off, and another application's old transaction keeps dead rows: a table of 100 rows with 40, \
          200 or 1,000 dead ones for each, and more with every update",
    wanted: &["bloat"],
    second: None,
    forbidden: &["checkpoints", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![("autovacuum", "off"), ("synchronous_commit", "off")],
        init: vec![
            "CREATE TABLE queue AS SELECT i AS id, 0 AS n, repeat('x', 300) AS x \
             FROM generate_series(1, 100) i",
            "CREATE TABLE kept AS SELECT i AS id, 0 AS n, repeat('x', 300) AS x \
             FROM generate_series(1, 10000) i",
            "ALTER TABLE kept ADD PRIMARY KEY (id)",
            "UPDATE kept SET n = 1",
            "UPDATE kept SET n = 2",
        ],
        ..Scene::default()
    },
    planted: |strength: Strength| State {
        before: vec!["VACUUM FULL queue", dead(strength)],
        beside: old_transaction(),
        ..load(2, UPDATE)
    },
    removed: |_| State {
        // What a vacuum in time would have kept: a table of as many pages as its rows need.
        before: vec![
            "VACUUM FULL queue",
            "ALTER SYSTEM SET autovacuum = on",
            "ALTER SYSTEM SET autovacuum_naptime = '1s'",
            "SELECT pg_reload_conf()",
        ],
        ..load(2, UPDATE)
    },
    decoy: Some(Decoy {
        how: "the old transaction, and a table of three pages for each that it needs, which is read by its key",
        forbidden: &["missing-index", "idle-in-transaction"],
        planted: || State { beside: old_transaction(), ..load(2, READ_KEPT) },
        removed: || State { before: vec!["VACUUM FULL kept"], ..load(2, READ_KEPT) },
    }),
};

/// A row changed in each of six tables, and nothing waits for the disk.
const SIX_TABLES: &str = "\\set id random(1, 1500000)\n\
    UPDATE t1 SET n = n + 1 WHERE id = :id;\nUPDATE t2 SET n = n + 1 WHERE id = :id;\n\
    UPDATE t3 SET n = n + 1 WHERE id = :id;\nUPDATE t4 SET n = n + 1 WHERE id = :id;\n\
    UPDATE t5 SET n = n + 1 WHERE id = :id;\nUPDATE t6 SET n = n + 1 WHERE id = :id;\n";

/// So many of the tables are left to autovacuum, a worker each, which is started one a second.
fn updates(vacuum: &[&'static str]) -> State {
    State {
        before: vacuum.to_vec(),
        ..load_with(2, SIX_TABLES, &["-M", "prepared", "--warmup", "8s"])
    }
}

const VACUUMED: &str = "CREATE FUNCTION vacuumed(count int) RETURNS void AS $$ BEGIN \
    FOR i IN 1..6 LOOP EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = %s)', 't' || i, i <= count); \
    END LOOP; END $$ LANGUAGE plpgsql";
const ONE: &[&str] = &["SELECT vacuumed(1)"];
const THREE: &[&str] = &["SELECT vacuumed(3)"];
const ALL: &[&str] = &["SELECT vacuumed(6)"];
const NONE: &[&str] = &["SELECT vacuumed(0)"];
const THREE_SLOWLY: &[&str] = &[
    "SELECT vacuumed(3)",
    "ALTER SYSTEM SET autovacuum_vacuum_cost_delay = '20ms'",
    "SELECT pg_reload_conf()",
];

pub(super) const VACUUM: Plant = Plant {
    name: "vacuum-storm",
    how: "autovacuum every second, without a cost limit, of tables of 1,500,000 rows with four indexes each: a \
          worker for one, three or all of six",
    wanted: &["autovacuum"],
    second: None,
    forbidden: &["checkpoints", "row-lock", "bloat"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![
            ("autovacuum_naptime", "1s"),
            ("autovacuum_max_workers", "6"),
            ("autovacuum_vacuum_threshold", "50"),
            ("autovacuum_vacuum_scale_factor", "0"),
            ("autovacuum_vacuum_cost_delay", "0"),
            ("synchronous_commit", "off"),
            ("max_wal_size", "8GB"),
        ],
        init: vec![
            "DO $$ DECLARE name text; BEGIN FOR i IN 1..6 LOOP name := 't' || i; \
             EXECUTE format('CREATE TABLE %I AS SELECT i AS id, i AS n FROM generate_series(1, 1500000) i', name); \
             EXECUTE format('CREATE INDEX ON %I (id)', name); \
             EXECUTE format('CREATE INDEX ON %I (n)', name); \
             EXECUTE format('CREATE INDEX ON %I (id, n)', name); \
             EXECUTE format('CREATE INDEX ON %I (n, id)', name); END LOOP; END $$",
            VACUUMED,
            ANALYZE,
        ],
        ..Scene::default()
    },
    planted: |strength: Strength| updates(strength.of([ONE, THREE, ALL])),
    removed: |_| updates(NONE),
    decoy: Some(Decoy {
        how: "a worker for each of three, which sleeps for 20 ms after every few pages",
        forbidden: &["checkpoints", "bloat"],
        planted: || updates(THREE_SLOWLY),
        removed: || updates(NONE),
    }),
};
