use bytes::{BufMut, BytesMut};

use super::{PART, Statement, Target, WriteStrategy, begin_bind, end_bind};
use crate::rows::RowMaker;
use crate::wire::{execute, patch_length};

/// One `COPY … FROM STDIN (FORMAT binary)` for the batch.
///
/// Nothing waits for the server's `CopyInResponse`: the data follows at once, so that a small COPY is
/// one write and one round trip. If the statement fails, the server passes over the data.
#[derive(Debug)]
pub(super) struct Copy;

/// The signature, no flags, no extension (the manual's chapter on COPY, binary format).
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;

impl WriteStrategy for Copy {
    fn statement(&self, target: &Target<'_>) -> Statement {
        let sql = format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary){}",
            target.name(),
            target.columns(),
            target.condition()
        );
        Statement { sql, parameters: Vec::new() }
    }

    fn encode(&self, rows: &mut RowMaker, done: u32, batch: u32, out: &mut BytesMut) -> u32 {
        if done == 0 {
            let at = begin_bind(0, out);
            end_bind(at, out);
            execute(out);
        }
        out.put_u8(b'd');
        let at = out.len();
        out.put_u32(0);
        if done == 0 {
            out.put_slice(HEADER);
        }
        let columns = rows.columns() as i16;
        let mut row = done;
        while row < batch && out.len() - at < PART {
            out.put_i16(columns);
            rows.row(out);
            row += 1;
        }
        if row == batch {
            out.put_i16(TRAILER);
        }
        patch_length(out, at);
        if row == batch {
            out.put_slice(b"c\0\0\0\x04");
        }
        row
    }

    fn completions(&self, _batch: u32) -> u64 {
        1
    }
}
