//! How a batch of rows is written: one file a method. A strategy only makes bytes; the driver
//! moves them.

mod copy;
mod executemany;
mod insert;
mod unnest;

use bytes::{BufMut, BytesMut};
use pinchpoint_measure::{Method, SqlType, Table};

use crate::rows::RowMaker;
use crate::wire::patch_length;

/// A way to write a batch.
pub(crate) trait WriteStrategy: std::fmt::Debug {
    /// The statement to prepare on each connection.
    fn statement(&self, target: &Target<'_>) -> Statement;

    /// Appends messages that write the rows from `done` on, up to `batch`; returns how many rows
    /// are done then. It may stop early, so that the server starts on the first part while the
    /// rest is being made.
    fn encode(&self, rows: &mut RowMaker, done: u32, batch: u32, out: &mut BytesMut) -> u32;

    /// `CommandComplete` messages that answer a batch.
    fn completions(&self, batch: u32) -> u64;
}

/// The strategy of a method.
pub(crate) fn strategy(method: Method) -> Box<dyn WriteStrategy> {
    match method {
        Method::Insert => Box::new(insert::Insert),
        Method::ExecuteMany => Box::new(executemany::ExecuteMany),
        Method::Unnest => Box::new(unnest::Unnest::default()),
        Method::Copy => Box::new(copy::Copy),
    }
}

/// Where rows go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) schema: Option<&'a str>,
    pub(crate) table: &'a Table,
    /// Whether rows are stored; if not, the statement does all but that.
    pub(crate) write: bool,
}

/// A statement and the types of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<u32>,
}

impl Target<'_> {
    /// The table's name, quoted, with its schema.
    pub(crate) fn name(&self) -> String {
        qualified(self.schema, &self.table.name)
    }

    fn columns(&self) -> String {
        let names: Vec<_> = self.table.columns.iter().map(|c| quote(&c.name)).collect();
        names.join(", ")
    }

    /// Appended to a statement that is to do all but store.
    const fn condition(&self) -> &'static str {
        if self.write { "" } else { " WHERE false" }
    }

    /// `$1::uuid, $2::integer`, each as `form` writes it.
    fn parameters(&self, form: impl Fn(usize, &str) -> String) -> String {
        let columns = self.table.columns.iter().enumerate();
        let all: Vec<_> = columns.map(|(i, c)| form(i + 1, c.sql_type.base_name())).collect();
        all.join(", ")
    }
}

/// An identifier in double quotes, whatever characters it has.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name with its schema.
pub(crate) fn qualified(schema: Option<&str>, table: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(table)),
        None => quote(table),
    }
}

/// A type's object identifier, and that of its array type: fixed in `pg_type.dat`.
const fn oids(sql_type: SqlType) -> (u32, u32) {
    match sql_type {
        SqlType::Uuid => (2950, 2951),
        SqlType::SmallInt => (21, 1005),
        SqlType::Integer => (23, 1007),
        SqlType::BigInt => (20, 1016),
        SqlType::Numeric { .. } => (1700, 1231),
        SqlType::Double => (701, 1022),
        SqlType::Text => (25, 1009),
        SqlType::TimestampTz => (1184, 1185),
    }
}

/// The name of the one prepared statement of a connection.
pub(crate) const PREPARED: &str = "w";

/// Begins a Bind of the prepared statement with `parameters` binary parameters, whose fields follow;
/// returns where its length is to be patched by [`end_bind`].
fn begin_bind(parameters: usize, out: &mut BytesMut) -> usize {
    out.put_u8(b'B');
    let at = out.len();
    out.put_slice(b"\0\0\0\0\0w\0\0\x01\0\x01");
    out.put_u16(parameters as u16);
    at
}

/// Ends a Bind; there are no result columns to format.
fn end_bind(at: usize, out: &mut BytesMut) {
    out.put_u16(0);
    patch_length(out, at);
}

/// Bytes after which a batch's messages go out in parts.
const PART: usize = 64 << 10;

#[cfg(test)]
pub(crate) mod sample {
    use pinchpoint_measure::{Choice, Column, Generator, SqlType, Table};

    /// A table of two columns, one with a name that needs its quotes.
    pub(crate) fn table() -> Table {
        let column =
            |name: &str, sql_type, generator| Column { name: name.to_owned(), sql_type, generator };
        let integer = Generator::Integer { min: 1, max: 9, choice: Choice::Uniform };
        Table {
            name: "a\"b".to_owned(),
            columns: vec![
                column("id", SqlType::Uuid, Generator::Uuid),
                column("n", SqlType::Integer, integer),
            ],
            primary_key: vec!["id".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_statement_that_stores_and_one_that_does_not() {
        let table = sample::table();
        for method in Method::ALL {
            let strategy = strategy(method);
            let sql =
                |write| strategy.statement(&Target { schema: Some("s"), table: &table, write }).sql;
            assert!(sql(true).contains(r#""s"."a""b""#), "{}", sql(true));
            assert!(!sql(true).contains("WHERE false"));
            assert!(sql(false).ends_with("WHERE false"), "{}", sql(false));
        }
    }

    #[test]
    fn a_batch_is_encoded_whole_however_it_is_cut() {
        let table = sample::table();
        for method in Method::ALL {
            let strategy = strategy(method);
            let batch = if method == Method::Insert { 1 } else { 9_000 };
            let mut rows = RowMaker::new(&table.columns, 1);
            let mut out = BytesMut::new();
            let (mut done, mut parts) = (0, 0);
            while done < batch {
                let now = strategy.encode(&mut rows, done, batch, &mut out);
                assert!(now > done && now <= batch, "{method:?}: {done} → {now}");
                (done, parts) = (now, parts + 1);
            }
            let mut rest = &out[..];
            let mut tags = std::collections::BTreeMap::new();
            while let Some((tag, after)) = rest.split_first() {
                let length = u32::from_be_bytes(after[..4].try_into().unwrap()) as usize;
                *tags.entry(*tag as char).or_insert(0) += 1;
                rest = &after[length..];
            }
            match method {
                Method::Insert => assert_eq!(tags[&'B'], 1),
                Method::ExecuteMany => assert_eq!((tags[&'B'], tags[&'E']), (9_000, 9_000)),
                Method::Unnest => assert_eq!((tags[&'B'], tags[&'E'], parts), (1, 1, 1)),
                Method::Copy => assert!(tags[&'d'] > 1 && tags[&'c'] == 1 && parts > 1, "{tags:?}"),
            }
        }
    }
}
