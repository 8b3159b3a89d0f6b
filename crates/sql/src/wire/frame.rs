use bytes::{BufMut, BytesMut};

/// The largest message that is taken from a server; a longer one is not from `PostgreSQL`.
pub(crate) const LONGEST: usize = 64 << 20;

/// A message's tag and the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tag: u8,
    pub(crate) body: usize,
}

/// Bytes of a message's head: the tag, and a length that counts itself.
pub(crate) const HEAD: usize = 5;

/// Reads a message's head; `None` when there is not all of it, an error when it cannot be one.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let [tag, a, b, c, d, ..] = *bytes else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(4..=LONGEST).contains(&length) {
        return Err("a message of an impossible length");
    }
    Ok(Some(Head { tag, body: length - 4 }))
}

/// Execute of the unnamed portal, without a limit.
pub(crate) fn execute(out: &mut BytesMut) {
    out.put_slice(b"E\0\0\0\x09\0\0\0\0\0");
}

/// Asks the server to send what it has.
pub(crate) fn flush(out: &mut BytesMut) {
    out.put_slice(b"H\0\0\0\x04");
}

/// Ends the transaction of the messages before it.
pub(crate) fn sync(out: &mut BytesMut) {
    out.put_slice(b"S\0\0\0\x04");
}

/// Writes the length of what begins at `at` (and counts itself) into its first four bytes.
pub(crate) fn patch_length(out: &mut BytesMut, at: usize) {
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}
