use bytes::BytesMut;

use super::{Statement, Target, WriteStrategy, begin_bind, end_bind, oids};
use crate::rows::RowMaker;
use crate::wire::execute;

/// One row, one statement, one transaction.
#[derive(Debug)]
pub(super) struct Insert;

impl WriteStrategy for Insert {
    fn statement(&self, target: &Target<'_>) -> Statement {
        one_row(target)
    }

    fn encode(&self, rows: &mut RowMaker, done: u32, _batch: u32, out: &mut BytesMut) -> u32 {
        put_row(rows, out);
        done + 1
    }

    fn completions(&self, _batch: u32) -> u64 {
        1
    }
}

/// `INSERT` of one row with a parameter for each column.
pub(super) fn one_row(target: &Target<'_>) -> Statement {
    let head = format!("INSERT INTO {} ({})", target.name(), target.columns());
    let sql = if target.write {
        format!("{head} VALUES ({})", target.parameters(|i, _| format!("${i}")))
    } else {
        let values = target.parameters(|i, name| format!("${i}::{name}"));
        format!("{head} SELECT {values}{}", target.condition())
    };
    let parameters = target.table.columns.iter().map(|c| oids(c.sql_type).0).collect();
    Statement { sql, parameters }
}

/// Bind and Execute of one row.
pub(super) fn put_row(rows: &mut RowMaker, out: &mut BytesMut) {
    let at = begin_bind(rows.columns(), out);
    rows.row(out);
    end_bind(at, out);
    execute(out);
}
