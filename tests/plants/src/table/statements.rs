use std::fmt::Write;
use std::time::Duration;

use crate::plant::{ALL, Beside, Kind, MIDDLE, Plant, Scene, State, Strength};

use super::{ANALYZE, KEY, TABLE, load, load_with};

const BY_KEY: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const BLOAT: Plant = Plant {
    name: "vacuum-off",
    how: "autovacuum off, and another application's old transaction keeps dead rows: a table of 100 \
          rows with 200 dead ones for each, and more with every update",
    wanted: &["bloat"],
    forbidden: &["checkpoints", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: || Scene {
        settings: vec![("autovacuum", "off"), ("synchronous_commit", "off")],
        init: vec![
            "CREATE TABLE queue AS SELECT i AS id, 0 AS n, repeat('x', 300) AS x \
             FROM generate_series(1, 100) i",
            "DO $$ BEGIN FOR i IN 1..200 LOOP UPDATE queue SET n = n + 1; END LOOP; END $$",
        ],
        ..Scene::default()
    },
    planted: |_| State {
        beside: Beside::Session(vec![
            ("BEGIN ISOLATION LEVEL REPEATABLE READ", Duration::ZERO),
            ("SELECT count(*) FROM queue", Duration::from_secs(600)),
        ]),
        ..load(2, "\\set id random(1, 100)\nUPDATE queue SET n = n + 1 WHERE id = :id;\n")
    },
    removed: || State {
        // What a vacuum in time would have kept: a table of as many pages as its rows need.
        before: vec![
            "VACUUM FULL queue",
            "ALTER SYSTEM SET autovacuum = on",
            "ALTER SYSTEM SET autovacuum_naptime = '1s'",
            "SELECT pg_reload_conf()",
        ],
        ..load(2, "\\set id random(1, 100)\nUPDATE queue SET n = n + 1 WHERE id = :id;\n")
    },
};

const THREE_TABLES: &str = "\\set id random(1, 1500000)\nUPDATE a SET n = n + 1 WHERE id = :id;\n\
                            UPDATE b SET n = n + 1 WHERE id = :id;\n\
                            UPDATE c SET n = n + 1 WHERE id = :id;\n";

pub(super) const VACUUM: Plant = Plant {
    name: "vacuum-storm",
    how: "a worker of autovacuum every second, without a cost limit, for three tables of 1,500,000 rows \
          with four indexes each",
    wanted: &["autovacuum"],
    forbidden: &["checkpoints", "row-lock", "bloat"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: || Scene {
        settings: vec![
            ("autovacuum_naptime", "1s"),
            ("autovacuum_vacuum_threshold", "50"),
            ("autovacuum_vacuum_scale_factor", "0"),
            ("autovacuum_vacuum_cost_delay", "0"),
            ("synchronous_commit", "off"),
            ("max_wal_size", "8GB"),
        ],
        init: vec![
            "DO $$ DECLARE name text; BEGIN FOREACH name IN ARRAY ARRAY['a', 'b', 'c'] LOOP \
             EXECUTE format('CREATE TABLE %I AS SELECT i AS id, i AS n FROM generate_series(1, 1500000) i', name); \
             EXECUTE format('CREATE INDEX ON %I (id)', name); \
             EXECUTE format('CREATE INDEX ON %I (n)', name); \
             EXECUTE format('CREATE INDEX ON %I (id, n)', name); \
             EXECUTE format('CREATE INDEX ON %I (n, id)', name); END LOOP; END $$",
            ANALYZE,
        ],
        ..Scene::default()
    },
    // Workers are started one a second.
    planted: |_| load_with(2, THREE_TABLES, &["-M", "prepared", "--warmup", "4s"]),
    removed: || State {
        before: vec!["ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"],
        ..load_with(2, THREE_TABLES, &["-M", "prepared", "--warmup", "4s"])
    },
};

pub(super) const NO_INDEX: Plant = Plant {
    name: "dropped-index",
    how: "a row looked up by a column without an index, among 1,000, 10,000 or 50,000",
    wanted: &["missing-index"],
    forbidden: &["data-io", "wal-flush", "cpu-throttling"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene: || Scene {
        init: vec![
            "CREATE TABLE few AS SELECT i AS id, repeat('x', 50) AS x FROM generate_series(1, 1000) i",
            "CREATE TABLE several AS SELECT i AS id, repeat('x', 50) AS x FROM generate_series(1, 10000) i",
            "CREATE TABLE lots AS SELECT i AS id, repeat('x', 50) AS x FROM generate_series(1, 50000) i",
            "CREATE TABLE indexed AS SELECT * FROM lots",
            "CREATE INDEX ON indexed (id)",
            ANALYZE,
        ],
        ..Scene::default()
    },
    planted: |strength: Strength| {
        let table = strength.of(["few", "several", "lots"]);
        let script = format!("\\set id random(1, 1000)\nSELECT x FROM {table} WHERE id = :id;\n");
        load_with(4, &script, &["-M", "prepared"])
    },
    removed: || {
        let script = "\\set id random(1, 1000)\nSELECT x FROM indexed WHERE id = :id;\n";
        load_with(4, script, &["-M", "prepared"])
    },
};

pub(super) const N_PLUS_ONE: Plant = Plant {
    name: "n-plus-one",
    how: "thirty rows fetched one by one instead of by one statement",
    wanted: &["n-plus-one"],
    forbidden: &["missing-index", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| {
        let mut script = "\\set id random(1, 9000)\n".to_owned();
        for i in 0..30 {
            let _ = writeln!(script, "SELECT x FROM t WHERE id = :id + {i};");
        }
        load_with(4, &script, &["-M", "extended"])
    },
    removed: || {
        let script = "\\set id random(1, 9000)\n\
            SELECT x FROM t WHERE id >= :id AND id < :id + 30;\n";
        load_with(4, script, &["-M", "extended"])
    },
};

/// A join of ten tables, of which each has one row: little to execute and much to plan.
fn joined() -> String {
    let mut script = "\\set id random(1, 10000)\nSELECT t1.x FROM t t1".to_owned();
    for i in 2..=9 {
        let _ = write!(script, " JOIN t t{i} ON t{i}.id = t1.id");
    }
    script.push_str(" WHERE t1.id = :id;\n");
    script
}

pub(super) const UNPREPARED: Plant = Plant {
    name: "unprepared",
    how: "a join of nine tables sent as text each time instead of prepared",
    wanted: &["planning"],
    forbidden: &["missing-index", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| load_with(4, &joined(), &["-M", "simple"]),
    removed: || load_with(4, &joined(), &["-M", "prepared"]),
};

const SORT: &str = "SELECT count(*) FROM (SELECT x FROM t ORDER BY n, x OFFSET 0) s;\n";

pub(super) const TEMP_FILES: Plant = Plant {
    name: "temp-files",
    how: "sorts with a work_mem of 64 kB",
    wanted: &["temp-files"],
    forbidden: &["missing-index", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| State {
        before: vec!["ALTER SYSTEM SET work_mem = '64kB'", "SELECT pg_reload_conf()"],
        ..load(4, SORT)
    },
    removed: || State {
        before: vec!["ALTER SYSTEM SET work_mem = '64MB'", "SELECT pg_reload_conf()"],
        ..load(4, SORT)
    },
};

/// The plain look-up, for whoever needs a quiet load.
pub(super) fn plain() -> State {
    load_with(4, BY_KEY, &["-M", "prepared"])
}
