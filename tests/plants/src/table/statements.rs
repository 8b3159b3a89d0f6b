use std::fmt::Write;
use std::time::Duration;

use crate::delays::Slow;
use crate::plant::{Decoy, Kind, Plant, Scene, State, Strength};

use super::{ANALYZE, KEY, TABLE, load, load_with};

const BY_KEY: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

/// A row of `table` looked up by `id`, which is one of the first thousand.
fn look_up(table: &str) -> State {
    let script = format!("\\set id random(1, 1000)\nSELECT x FROM {table} WHERE id = :id;\n");
    load_with(4, &script, &["-M", "prepared"])
}

/// A sum over every row of a table, whose statement has a condition that all of them meet.
const SUM_OF_ALL: &str = "SELECT sum(length(x)) FROM TABLE WHERE id > 0;\n";

pub(super) const NO_INDEX: Plant = Plant {
    name: "dropped-index",
    how: "a row looked up by a column without an index, among 2,000, 10,000 or 50,000",
    wanted: &["missing-index"],
    second: None,
    forbidden: &["data-io", "wal-flush", "cpu-throttling"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        init: vec![
            "CREATE TABLE few AS SELECT i AS id, repeat('x', 50) AS x FROM generate_series(1, 2000) i",
            "CREATE TABLE several AS SELECT i AS id, repeat('x', 50) AS x FROM generate_series(1, 10000) i",
            "CREATE TABLE lots AS SELECT i AS id, repeat('x', 50) AS x FROM generate_series(1, 50000) i",
            "CREATE TABLE indexed AS SELECT * FROM lots",
            "CREATE TABLE several_indexed AS SELECT * FROM several",
            "CREATE INDEX ON indexed (id)",
            "CREATE INDEX ON several_indexed (id)",
            ANALYZE,
        ],
        ..Scene::default()
    },
    planted: |strength: Strength| look_up(strength.of(["few", "several", "lots"])),
    removed: |_| look_up("indexed"),
    decoy: Some(Decoy {
        how: "a sum over all 10,000 rows, which no index makes shorter",
        forbidden: &["data-io"],
        planted: || load_with(4, &SUM_OF_ALL.replace("TABLE", "several"), &["-M", "prepared"]),
        removed: || {
            load_with(4, &SUM_OF_ALL.replace("TABLE", "several_indexed"), &["-M", "prepared"])
        },
    }),
};

/// So many rows fetched one by one.
fn one_by_one(rows: usize) -> State {
    let mut script = "\\set id random(1, 9000)\n".to_owned();
    for i in 0..rows {
        let _ = writeln!(script, "SELECT x FROM t WHERE id = :id + {i};");
    }
    load_with(4, &script, &["-M", "extended"])
}

/// As many by one statement.
fn at_once(rows: usize) -> State {
    let script = format!(
        "\\set id random(1, 9000)\nSELECT x FROM t WHERE id >= :id AND id < :id + {rows};\n"
    );
    load_with(4, &script, &["-M", "extended"])
}

/// A number computed for milliseconds: what one statement takes, whether alone or with others.
const COMPUTED: &str = "(SELECT sum(i % 7) FROM generate_series(1, 10000) i)";

pub(super) const N_PLUS_ONE: Plant = Plant {
    name: "n-plus-one",
    how: "five, thirty or 150 rows fetched one by one instead of by one statement",
    wanted: &["n-plus-one"],
    second: None,
    forbidden: &["missing-index", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| one_by_one(strength.of([5, 30, 150])),
    removed: |strength: Strength| at_once(strength.of([5, 30, 150])),
    decoy: Some(Decoy {
        how: "ten statements that compute for milliseconds each, which as one would take as long",
        forbidden: &["serial-round-trips"],
        planted: || load_with(4, &format!("SELECT {COMPUTED};\n").repeat(10), &["-M", "extended"]),
        removed: || {
            let script = format!("SELECT {};\n", [COMPUTED; 10].join(" + "));
            load_with(4, &script, &["-M", "extended"])
        },
    }),
};

/// A join of so many tables, of which each has one row: little to execute and much to plan.
fn joined(tables: usize) -> String {
    let mut script = "\\set id random(1, 10000)\nSELECT t1.x FROM t t1".to_owned();
    for i in 2..=tables {
        let _ = write!(script, " JOIN t t{i} ON t{i}.id = t1.id");
    }
    script.push_str(" WHERE t1.id = :id;\n");
    script
}

const LONG: &str = "\\set id random(1, 1000)\nSELECT sum(n) FROM t WHERE id > :id;\n";

pub(super) const UNPREPARED: Plant = Plant {
    name: "unprepared",
    how: "a join of three, six or nine tables sent as text each time instead of prepared",
    wanted: &["planning"],
    second: None,
    forbidden: &["missing-index", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| load_with(4, &joined(strength.of([3, 6, 9])), &["-M", "simple"]),
    removed: |strength: Strength| {
        load_with(4, &joined(strength.of([3, 6, 9])), &["-M", "prepared"])
    },
    decoy: Some(Decoy {
        how: "a sum over thousands of rows sent as text each time",
        forbidden: &["n-plus-one"],
        planted: || load_with(4, LONG, &["-M", "simple"]),
        removed: || load_with(4, LONG, &["-M", "prepared"]),
    }),
};

/// Rows sorted before they are counted.
const SORT: &str = "SELECT count(*) FROM (SELECT x FROM t ORDER BY n, x OFFSET 0) s;\n";
/// A short sort after much computing.
const SHORT_SORT: &str = "SELECT sum(a.n + b.n) FROM t a, t b WHERE a.id <= 2000 AND b.id <= 400;\n\
    SELECT count(*) FROM (SELECT x FROM t WHERE id <= 2000 ORDER BY n, x OFFSET 0) s;\n";
const TOO_LITTLE: &str = "ALTER SYSTEM SET work_mem = '64kB'";
const ENOUGH: &str = "ALTER SYSTEM SET work_mem = '64MB'";

/// On a disk that takes so many microseconds more to read or write a block.
fn sorting(work_mem: &'static str, block_us: u64, script: &str) -> State {
    let longer = Duration::from_micros(block_us);
    State {
        before: vec![work_mem, "SELECT pg_reload_conf()"],
        slow: vec![(Slow::DataWrite, longer), (Slow::DataRead, longer)],
        ..load(4, script)
    }
}

pub(super) const TEMP_FILES: Plant = Plant {
    name: "temp-files",
    how: "sorts of 10,000 rows with a work_mem of 64 kB, on a disk that takes no, 0.02 or 0.2 ms longer for a block",
    wanted: &["temp-files"],
    second: None,
    forbidden: &["missing-index", "wal-flush", "row-lock"],
    kind: Kind::Bottleneck,
    scene: || Scene { delays: true, ..scene() },
    planted: |strength: Strength| sorting(TOO_LITTLE, strength.of([0, 20, 200]), SORT),
    removed: |strength: Strength| sorting(ENOUGH, strength.of([0, 20, 200]), SORT),
    decoy: Some(Decoy {
        how: "such a sort of 2,000 rows, after a statement that computes for many times as long",
        forbidden: &["data-io"],
        planted: || sorting(TOO_LITTLE, 0, SHORT_SORT),
        removed: || sorting(ENOUGH, 0, SHORT_SORT),
    }),
};

/// The plain look-up, for whoever needs a quiet load.
pub(super) fn plain() -> State {
    load_with(4, BY_KEY, &["-M", "prepared"])
}
