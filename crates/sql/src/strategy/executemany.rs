use bytes::BytesMut;

use super::insert::{one_row, put_row};
use super::{PART, Statement, Target, WriteStrategy};
use crate::rows::RowMaker;

/// A statement for each row, all sent before the first answer is read, in one transaction: what
/// asyncpg's `executemany` does.
#[derive(Debug)]
pub(super) struct ExecuteMany;

impl WriteStrategy for ExecuteMany {
    fn statement(&self, target: &Target<'_>) -> Statement {
        one_row(target)
    }

    fn encode(&self, rows: &mut RowMaker, done: u32, batch: u32, out: &mut BytesMut) -> u32 {
        let limit = out.len() + PART;
        for row in done..batch {
            put_row(rows, out);
            if out.len() >= limit {
                return row + 1;
            }
        }
        batch
    }

    fn completions(&self, batch: u32) -> u64 {
        batch.into()
    }
}
