use std::fs::File;
use std::io::Read;

use crate::error::StackError;

/// `bytes` random bytes from the system, as hexadecimal digits.
pub(crate) fn hex(bytes: usize) -> Result<String, StackError> {
    let mut buffer = vec![0_u8; bytes];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut buffer))
        .map_err(|source| StackError::System { action: "get random numbers", source })?;
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    Ok(buffer.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect())
}

/// A password that nobody guesses: 160 bits of the system's randomness as hexadecimal digits.
pub fn password() -> Result<String, StackError> {
    hex(20)
}
