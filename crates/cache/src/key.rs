//! Keys: what a call is stored under, built so that two different calls never share one.

use std::fmt::{self, Display, Write};

/// Longer keys are stored as their first characters and a hash of 128 bits.
const LONGEST: usize = 200;
const KEPT: usize = 96;

/// The key of a call, or the name of a tag: literal text and escaped values.
///
/// Text written by the programmer stands as it is; a value is percent-escaped, so that `:` and
/// other delimiters inside it cannot make two keys equal: `("a:b", "c")` and `("a", "b:c")` differ.
/// The macro [`key!`](crate::key) writes one like a format string.
///
/// ```
/// use pinchpoint_cache::Key;
/// let key = Key::text("post:").value("a:b").then(":").value(7);
/// assert_eq!(key.as_str(), "post:a%3Ab:7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

/// A tag is named the way a key is.
pub type Tag = Key;

impl Key {
    /// Starts with literal text, which is not escaped.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let mut key = String::with_capacity(48);
        key.push_str(text);
        Self(key)
    }

    /// Goes on with literal text.
    #[must_use]
    pub fn then(mut self, text: &str) -> Self {
        self.0.push_str(text);
        self
    }

    /// Goes on with a value, escaped.
    #[must_use]
    pub fn value(mut self, value: impl Display) -> Self {
        // Writing to a String fails only when the value's Display does; what was written stands.
        let _ = write!(Escape(&mut self.0), "{value}");
        self
    }

    /// The key as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is stored: the key itself, or its beginning and its hash when it is long.
    pub(crate) fn stored(self) -> String {
        if self.0.len() <= LONGEST {
            return self.0;
        }
        let mut end = KEPT;
        while !self.0.is_char_boundary(end) {
            end -= 1;
        }
        let hash = hash128(self.0.as_bytes());
        format!("{}~{hash:032x}", &self.0[..end])
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut clean = 0;
        for (at, byte) in text.bytes().enumerate() {
            if stands_for_itself(byte) {
                continue;
            }
            self.0.push_str(&text[clean..at]);
            write!(self.0, "%{byte:02X}")?;
            clean = at + 1;
        }
        self.0.push_str(&text[clean..]);
        Ok(())
    }
}

/// Letters, digits, `-`, `_`, `.`, `@`, and what is not ASCII. The delimiters that literal text uses are not
/// among them, nor is `~`, which marks a hashed key.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@') || !byte.is_ascii()
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>. Stored keys hold it, so it must not
/// change between releases, as the standard library's hasher may.
pub(crate) fn hash64(bytes: &[u8], seed: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    bytes.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// FNV-1a, 128 bits.
fn hash128(bytes: &[u8]) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let start = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    bytes.iter().fold(start, |hash, &byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_readable() {
        assert_eq!(Key::text("user:").value(7).as_str(), "user:7");
        assert_eq!(Key::text("mail:").value("a b@c.de").as_str(), "mail:a%20b@c.de");
        assert_eq!(Key::text("name:").value("Zoë").as_str(), "name:Zoë");
    }

    #[test]
    fn a_long_key_is_stored_short_and_stays_its_own() {
        let long = |end: &str| Key::text("q:").value("ä".repeat(300) + end).stored();
        assert!(long("x").len() < 140);
        assert_ne!(long("x"), long("y"));
        assert_eq!(long("x"), long("x"));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(hash64(b"foobar", 0), 0x8594_4171_f739_67e8);
        assert_eq!(hash128(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    proptest! {
        #[test]
        fn two_lists_of_values_never_share_a_key(
            a in prop::collection::vec(".{0,6}", 1..4), b in prop::collection::vec(".{0,6}", 1..4)
        ) {
            let key = |values: &[String]| {
                values.iter().fold(Key::text("k"), |key, value| key.then(":").value(value)).stored()
            };
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }
}
