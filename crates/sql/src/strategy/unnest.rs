use bytes::{BufMut, BytesMut};

use super::{Statement, Target, WriteStrategy, begin_bind, end_bind, oids};
use crate::rows::RowMaker;
use crate::wire::execute;

/// One statement for the batch, whose parameters are arrays, a column each.
#[derive(Debug, Default)]
pub(super) struct Unnest {
    /// The element type of each column.
    elements: std::cell::RefCell<Vec<u32>>,
}

impl WriteStrategy for Unnest {
    fn statement(&self, target: &Target<'_>) -> Statement {
        let columns = &target.table.columns;
        *self.elements.borrow_mut() = columns.iter().map(|c| oids(c.sql_type).0).collect();
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({}){}",
            target.name(),
            target.columns(),
            target.parameters(|i, name| format!("${i}::{name}[]")),
            target.condition()
        );
        Statement { sql, parameters: columns.iter().map(|c| oids(c.sql_type).1).collect() }
    }

    fn encode(&self, rows: &mut RowMaker, _done: u32, batch: u32, out: &mut BytesMut) -> u32 {
        let elements = self.elements.borrow();
        let bind = begin_bind(elements.len(), out);
        for (column, element) in elements.iter().enumerate() {
            let at = out.len();
            // Room for the length, then `array_send`'s head: dimensions, nulls, element type,
            // elements, lower bound.
            out.put_u32(0);
            out.put_i32(1);
            out.put_i32(0);
            out.put_u32(*element);
            out.put_u32(batch);
            out.put_i32(1);
            for _ in 0..batch {
                rows.value(column, out);
            }
            // A parameter's length does not count itself.
            let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        end_bind(bind, out);
        execute(out);
        batch
    }

    fn completions(&self, _batch: u32) -> u64 {
        1
    }
}
