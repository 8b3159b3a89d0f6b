use std::collections::BTreeSet;

use pinchpoint_measure::{Generator, Method, SqlType, Table};

use crate::experiment::SPARE_CONNECTIONS;
use crate::fields::Fields;
use crate::place::quote;
use crate::read::like::BEST;
use crate::read::rung::{BATCH, CONCURRENCY, CONNECTION, CRASH, Draft, METHOD, NAME, POOL_KEY};
use crate::sink::Sink;
use crate::{Batch, Connection, Like, PostgresPlan, Rung};

/// The largest batch of pipelined statements: the server's answers to them pile up until the
/// batch has been sent.
const LARGEST_PIPELINE: u32 = 100_000;
/// The largest message that `PostgreSQL` takes, in bytes (`MaxAllocSize`, 1 GiB - 1).
const LARGEST_MESSAGE: u64 = (1 << 30) - 1;

/// Names must be usable on a command line and in file names, and differ in more than case.
pub(super) fn names(drafts: &[Draft<'_, '_>]) {
    let mut seen = BTreeSet::new();
    for (rung, fields) in drafts.iter().filter(|(r, f)| f.has(&NAME) && !r.name.is_empty()) {
        let fits = rung.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && rung.name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !fits || rung.name == BEST {
            let message = format!("{} cannot be a rung's name", quote(&rung.name));
            let help = "use letters, digits, dots, dashes and underscores, such as `2-B`; `best` \
                        has a meaning of its own";
            fields.report_at(&NAME, message, help);
        }
        if !seen.insert(rung.name.to_lowercase()) {
            let message = format!("there is a rung {} already", quote(&rung.name));
            fields.report_at(&NAME, message, "names must differ in more than case");
        }
    }
    for (_, fields) in drafts.iter().filter(|(r, f)| f.has(&NAME) && r.name.is_empty()) {
        fields.report_at(&NAME, "a rung's name is empty, or is no name", "such as `2-B`");
    }
}

/// What can be said of a rung alone. What it takes from another is checked there.
pub(super) fn one(rung: &Rung, fields: &Fields<'_, '_>) {
    let largest = rung.batch.largest();
    let own = match rung.like {
        None => true,
        Some(Like::Best) => rung.stated.batch.is_some() && rung.stated.method.is_some(),
        Some(Like::Rung(_)) => rung.stated.batch.is_some() || rung.stated.method.is_some(),
    };
    let place = if rung.stated.batch.is_some() { &BATCH } else { &METHOD };
    if own && rung.method == Method::Insert && largest > 1 {
        let batch = match rung.batch {
            Batch::Fixed(size) => format!("a batch of {size}"),
            Batch::Sweep(_) => "a sweep of batches".to_owned(),
        };
        let message = format!("{batch} with method `insert`, which writes one row a statement");
        let help = "write `batch = 1`, or take a method for batches, such as `executemany`";
        fields.report_at(place, message, help);
    }
    if own && rung.method == Method::ExecuteMany && largest > LARGEST_PIPELINE {
        let message = format!("a batch of {largest} is too large for `executemany`");
        fields.report_at(place, message, "at most 100000; `unnest` and `copy` take more");
    }
    if rung.crash && !rung.write {
        let message = "`crash` in a rung that writes nothing: no row can be lost";
        fields.report_at(&CRASH, message, "leave it out");
    }
}

/// Every rung's connections must fit the server.
pub(super) fn connections(sink: &Sink, drafts: &[Draft<'_, '_>], postgres: Option<&PostgresPlan>) {
    let Some(postgres) = postgres else { return };
    // A setting that cannot be read has been reported.
    let Some(available) = postgres.max_connections() else { return };
    for (rung, fields) in drafts {
        let needed = rung.connections_opened() + SPARE_CONNECTIONS;
        let (stated, key, what) = match rung.connection {
            Connection::Pool { max, .. } => {
                (rung.stated.connection.is_some(), &POOL_KEY, format!("a pool of {max}"))
            }
            Connection::PerOperation => {
                let what = format!("a concurrency of {}", rung.concurrency);
                let key = if fields.has(&CONCURRENCY) { &CONCURRENCY } else { &CONNECTION };
                (fields.has(&CONNECTION) || fields.has(&CONCURRENCY), key, what)
            }
        };
        if !stated || needed <= available {
            continue;
        }
        let whose = if postgres.setting("max_connections").is_some() { "" } else { " by default" };
        let message = format!(
            "{what} needs a `max_connections` of {needed} (3 are kept for superusers, 2 for \
             observers), and it is {available}{whose}"
        );
        let help = format!("set `max_connections = {needed}` in [postgres.settings], or use fewer");
        sink.report_with(&fields.place_of(key), message, help);
    }
}

/// The largest statement must fit a message of the protocol.
pub(super) fn statement_sizes(drafts: &[Draft<'_, '_>], table: Option<&Table>) {
    let Some(table) = table else { return };
    let row: u64 = table.columns.iter().map(|c| field_bytes(c.sql_type, &c.generator)).sum();
    for (rung, fields) in drafts {
        let bytes = row.saturating_mul(u64::from(rung.batch.largest()));
        let own = rung.stated.batch.is_some() || rung.stated.method.is_some();
        if rung.method == Method::Unnest && own && bytes > LARGEST_MESSAGE {
            let message = format!(
                "a batch of {} rows of up to {row} bytes is over 1 GiB, the most that \
                 PostgreSQL takes in a statement",
                rung.batch.largest()
            );
            let help = format!("at most {} rows fit", LARGEST_MESSAGE / row.max(1));
            fields.report_at(&BATCH, message, help);
        }
    }
}

/// An upper bound of a field's bytes in the binary format, its length word included.
fn field_bytes(sql_type: SqlType, generator: &Generator) -> u64 {
    4 + match (sql_type, generator) {
        (_, Generator::Text { max, .. }) => u64::from(*max),
        (_, Generator::OneOf(values)) => values.iter().map(|v| v.len() as u64).max().unwrap_or(0),
        (SqlType::Uuid, _) => 16,
        // Four words of header, then two bytes for each four digits.
        (SqlType::Numeric { precision, .. }, _) => 8 + 2 * (u64::from(precision).div_ceil(4) + 2),
        _ => 8,
    }
}
