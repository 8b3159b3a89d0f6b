use std::time::Duration;

use pinchpoint_measure::Method;

use crate::fields::{Fields, Value};
use crate::key::{Fallback, Key, Kind, Section};
use crate::place::quote;
use crate::read::{like, rung_checks};
use crate::sink::Sink;
use crate::value;
use crate::{Batch, Connection, LEVERS, Rung, Stated};

/// Rungs of a ladder.
const MOST_RUNGS: usize = 100;
/// Sizes of a sweep.
const MOST_SIZES: usize = 32;
/// The largest batch.
const LARGEST_BATCH: i128 = 1_000_000;

pub(crate) static SECTION: Section = Section {
    name: "[[rung]]",
    help: "One step of the ladder.",
    keys: &[
        &NAME,
        &TITLE,
        &LIKE,
        &CONNECTION,
        &POOL_KEY,
        &CONCURRENCY,
        &METHOD,
        &BATCH,
        &SYNCHRONOUS_COMMIT,
        &WRITE,
        &CRASH,
        &LEVER,
    ],
};

pub(super) static NAME: Key = Key {
    name: "name",
    kind: Kind::Line { longest: 32 },
    default: Fallback::Required,
    help: "The rung's name, as `--rungs` has it: letters, digits, dots, dashes and underscores.",
};
static TITLE: Key = Key {
    name: "title",
    kind: Kind::Line { longest: 80 },
    default: Fallback::Note("the name"),
    help: "What the rung changes, in a few words; a column of the table that is shown.",
};
pub(super) static LIKE: Key = Key {
    name: "like",
    kind: Kind::Other("name of another rung, or `best`"),
    default: Fallback::Note("none"),
    help: "The rung that gives connection, pool, concurrency, method and batch (after its sweep) \
           where this one does not state them. `best` is the rung with the highest throughput so \
           far, of those that write with `synchronous_commit` on.",
};
pub(super) static CONNECTION: Key = Key {
    name: "connection",
    kind: Kind::Word(&["per-operation", "pool"]),
    default: Fallback::Note("`pool` when there is a `pool`; one of the two must be there"),
    help: "A new connection for each operation, or connections that are kept and shared.",
};
pub(super) static POOL_KEY: Key = Key {
    name: "pool",
    kind: Kind::Other("table such as `{ min = 10, max = 50 }`"),
    default: Fallback::Note("none"),
    help: "The pool of connections.",
};
pub(super) static CONCURRENCY: Key = Key {
    name: "concurrency",
    kind: Kind::Whole { min: 1, max: 10_000 },
    default: Fallback::Note("1"),
    help: "Virtual users: operations that may be under way at once.",
};
pub(super) static METHOD: Key = Key {
    name: "method",
    kind: Kind::Word(&["insert", "executemany", "unnest", "copy"]),
    default: Fallback::Note("`insert`"),
    help: "How rows are written: `insert` one a statement; `executemany` a pipelined `INSERT` for \
           each row, one transaction a batch; `unnest` a batch as one `INSERT … SELECT FROM \
           unnest(…)`; `copy` a batch as one binary `COPY`.",
};
pub(super) static BATCH: Key = Key {
    name: "batch",
    kind: Kind::Other("whole number, 1 to 1000000, or an array of them"),
    default: Fallback::Note("1"),
    help: "Rows in a batch. An array is a sweep: each size is tried first, and the trials run with \
           the fastest. 1 with `insert`, at most 100000 with `executemany`.",
};
static SYNCHRONOUS_COMMIT: Key = Key {
    name: "synchronous_commit",
    kind: Kind::Flag,
    default: Fallback::Value("true"),
    help: "Whether a commit waits until its WAL is on disk. Without it a crash loses rows that \
           were acknowledged.",
};
static WRITE: Key = Key {
    name: "write",
    kind: Kind::Flag,
    default: Fallback::Value("true"),
    help: "`false` makes the null rung: the same path, and nothing is written. It shows the \
           ceiling that generator and wire set.",
};
pub(super) static CRASH: Key = Key {
    name: "crash",
    kind: Kind::Flag,
    default: Fallback::Value("false"),
    help: "Whether the server is stopped at once after each trial and started again, and lost \
           acknowledged rows are counted. Only on a server of pinchpoint's own.",
};
static LEVER: Key = Key {
    name: "lever",
    kind: Kind::Word(LEVERS),
    default: Fallback::Note("none"),
    help: "What the rung changes against the rung before; its gain is predicted.",
};

pub(crate) static POOL: Section = Section {
    name: "`pool`",
    help: "A rung's pool of connections.",
    keys: &[&POOL_MIN, &POOL_MAX, &POOL_TIMEOUT],
};
static POOL_MIN: Key = Key {
    name: "min",
    kind: Kind::Whole { min: 0, max: 10_000 },
    default: Fallback::Note("`max`"),
    help: "Connections open from the start.",
};
static POOL_MAX: Key = Key {
    name: "max",
    kind: Kind::Whole { min: 1, max: 10_000 },
    default: Fallback::Required,
    help: "The most connections. `max_connections` in `[postgres.settings]` must exceed it by 5: \
           PostgreSQL keeps 3 for superusers, and 2 are for observers.",
};
static POOL_TIMEOUT: Key = Key {
    name: "timeout",
    kind: Kind::Span { min: Duration::from_millis(1), max: Duration::from_secs(3600) },
    default: Fallback::Value(r#""30s""#),
    help: "How long an operation waits for a connection before it fails.",
};

/// A rung as its own text has it, and where its keys are.
pub(crate) type Draft<'a, 'i> = (Rung, Fields<'a, 'i>);

/// The rungs, each with what it takes from others.
pub(crate) fn read_all<'a, 'i>(parent: &Fields<'a, 'i>, key: &'static Key) -> Vec<Draft<'a, 'i>> {
    let found = parent.array(key);
    if parent.has(key) && !(1..=MOST_RUNGS).contains(&found.len()) {
        let message = format!("there are {} rungs", found.len());
        parent.report_at(key, message, "a ladder has 1 to 100, each written `[[rung]]`");
        return Vec::new();
    }
    let mut rungs: Vec<Draft<'a, 'i>> = found.iter().filter_map(|v| read(parent.sink, v)).collect();
    rung_checks::names(&rungs);
    like::resolve(&mut rungs);
    for (rung, fields) in &rungs {
        rung_checks::one(rung, fields);
    }
    rungs
}

fn read<'a, 'i>(sink: &'a Sink, value: &'a Value<'i>) -> Option<Draft<'a, 'i>> {
    let fields = Fields::open(sink, value, &SECTION)?;
    let name = fields.text(&NAME).unwrap_or_default();
    let stated = Stated {
        connection: read_connection(&fields),
        concurrency: or_stand_in(&fields, &CONCURRENCY, fields.whole(&CONCURRENCY), 1),
        method: or_stand_in(
            &fields,
            &METHOD,
            fields.word(&METHOD).and_then(Method::from_name),
            Method::Copy,
        ),
        batch: or_stand_in(&fields, &BATCH, read_batch(&fields), Batch::Fixed(1)),
    };
    let rung = Rung {
        title: fields.text(&TITLE).filter(|t| !t.is_empty()).unwrap_or_else(|| name.clone()),
        name,
        like: like::read(&fields),
        connection: stated.connection.unwrap_or(Connection::PerOperation),
        concurrency: stated.concurrency.unwrap_or(1),
        method: stated.method.unwrap_or(Method::Insert),
        batch: stated.batch.clone().unwrap_or(Batch::Fixed(1)),
        stated,
        batch_of: None,
        synchronous_commit: fields.flag(&SYNCHRONOUS_COMMIT).unwrap_or(true),
        write: fields.flag(&WRITE).unwrap_or(true),
        crash: fields.flag(&CRASH).unwrap_or(false),
        lever: fields.word(&LEVER).map(str::to_owned),
    };
    Some((rung, fields))
}

/// A key that is there but cannot be read (which has been reported) counts as stated, with a value
/// that gives no further problems.
fn or_stand_in<T>(fields: &Fields<'_, '_>, key: &Key, read: Option<T>, stand_in: T) -> Option<T> {
    read.or_else(|| fields.has(key).then_some(stand_in))
}

fn read_connection(fields: &Fields<'_, '_>) -> Option<Connection> {
    const STAND_IN: Connection =
        Connection::Pool { min: 1, max: 1, timeout: Duration::from_secs(30) };
    let word = fields.word(&CONNECTION);
    let pool = fields.get(&POOL_KEY).map(|v| read_pool(fields.sink, v).unwrap_or(STAND_IN));
    match (word, pool) {
        (Some("per-operation"), Some(_)) => {
            let help = "leave out `pool`, or `connection`";
            fields.report_at(&POOL_KEY, "`pool` with a new connection for each operation", help);
            Some(STAND_IN)
        }
        (Some("per-operation"), None) => Some(Connection::PerOperation),
        (Some(_), None) => {
            let help = "add it, such as `pool = { min = 10, max = 50 }`";
            fields.report_at(&CONNECTION, "`connection = \"pool\"` without a `pool`", help);
            Some(STAND_IN)
        }
        (_, Some(pool)) => Some(pool),
        (None, None) if fields.has(&CONNECTION) => Some(STAND_IN),
        (None, None) => {
            if !fields.has(&LIKE) {
                let message = "the rung does not say how it connects";
                let help =
                    "add `connection = \"per-operation\"` or `pool = { min = 10, max = 50 }`";
                fields.sink.report_with(&fields.place, message, help);
            }
            None
        }
    }
}

fn read_pool(sink: &Sink, found: &Value<'_>) -> Option<Connection> {
    let fields = Fields::open(sink, found, &POOL)?;
    let max = fields.whole::<u32>(&POOL_MAX);
    let min = fields.whole::<u32>(&POOL_MIN);
    let timeout = fields.span(&POOL_TIMEOUT);
    let (max, timeout) = (max?, timeout?);
    if let Some(min) = min.filter(|min| *min > max) {
        let message = format!("pool `min` {min} is above its `max` {max}");
        fields.report_at(&POOL_MIN, message, "make it smaller, or leave it out");
    }
    Some(Connection::Pool { min: min.unwrap_or(max), max, timeout })
}

fn read_batch(fields: &Fields<'_, '_>) -> Option<Batch> {
    let found = fields.get(&BATCH)?;
    let Some(sizes) = found.get_ref().as_array() else {
        return read_size(fields.sink, found).map(Batch::Fixed);
    };
    if !(1..=MOST_SIZES).contains(&sizes.len()) {
        let message = format!("`batch` has {} sizes to try", sizes.len());
        fields.report_at(&BATCH, message, "a sweep has 1 to 32; or write one number");
        return None;
    }
    let mut seen: Vec<u32> = Vec::with_capacity(sizes.len());
    for value in sizes {
        let size = read_size(fields.sink, value)?;
        if seen.contains(&size) {
            let message = format!("`batch` has {} twice", quote(&size.to_string()));
            fields.sink.report(&value.span(), message);
        }
        seen.push(size);
    }
    match seen[..] {
        [only] => Some(Batch::Fixed(only)),
        _ => Some(Batch::Sweep(seen)),
    }
}

fn read_size(sink: &Sink, found: &Value<'_>) -> Option<u32> {
    static SIZE: Key = Key {
        name: "batch",
        kind: Kind::Whole { min: 1, max: LARGEST_BATCH },
        default: Fallback::Required,
        help: "",
    };
    value::whole(sink, &SIZE, found).and_then(|n| u32::try_from(n).ok())
}
