//! Keys: what a call is stored under, built so that two different calls never share one.

use std::fmt::{self, Display, Write};
use std::ops::Deref;
use std::sync::Arc;

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
#[derive(Clone)]
pub struct Key(Text);

/// Text that is short as a rule: a hit in memory should not cost an allocation.
#[derive(Clone)]
enum Text {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(String),
}

const SHORT: usize = 62;

impl Text {
    // Only whole texts are ever added.
    fn as_str(&self) -> &str {
        match self {
            Self::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(text) => text.as_bytes(),
        }
    }

    #[inline]
    fn push(&mut self, text: &str) {
        if !self.push_short(text.as_bytes()) {
            self.push_long(text);
        }
    }

    /// Whether there was room.
    #[inline]
    fn push_short(&mut self, text: &[u8]) -> bool {
        let Self::Short { length, bytes } = self else { return false };
        let (from, to) = (usize::from(*length), usize::from(*length) + text.len());
        let Some(room) = bytes.get_mut(from..to) else { return false };
        room.copy_from_slice(text);
        *length = to as u8; // at most SHORT
        true
    }

    /// The same for a number, written where it stands.
    #[inline]
    fn push_short_number(&mut self, negative: bool, mut magnitude: u64) -> bool {
        let Self::Short { length, bytes } = self else { return false };
        let digits = magnitude.checked_ilog10().map_or(1, |log| log as usize + 1);
        let from = usize::from(*length);
        let to = from + usize::from(negative) + digits;
        let Some(room) = bytes.get_mut(from..to) else { return false };
        for place in room.iter_mut().rev() {
            *place = b'0' + (magnitude % 10) as u8;
            magnitude /= 10;
        }
        if negative && let Some(sign) = room.first_mut() {
            *sign = b'-';
        }
        *length = to as u8; // at most SHORT
        true
    }

    #[cold]
    fn push_long(&mut self, text: &str) {
        match self {
            Self::Short { .. } => {
                let mut long = String::with_capacity(2 * SHORT + text.len());
                long.push_str(self.as_str());
                long.push_str(text);
                *self = Self::Long(long);
            }
            Self::Long(long) => long.push_str(text),
        }
    }
}

/// A tag is named the way a key is.
pub type Tag = Key;

/// The names of a call's tags. Mostly there are none, which takes no allocation.
#[derive(Clone, Default)]
pub(crate) struct Tags(Option<Arc<[Box<str>]>>);

impl Tags {
    /// As they are stored; beyond 255 they are cut off.
    pub(crate) fn new(tags: Vec<Tag>) -> Self {
        if tags.is_empty() {
            return Self(None);
        }
        let names = tags.into_iter().take(255).map(|tag| tag.stored().as_str().into());
        Self(Some(names.collect()))
    }
}

impl Deref for Tags {
    type Target = [Box<str>];

    fn deref(&self) -> &[Box<str>] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Key {
    /// Starts with literal text, which is not escaped.
    #[must_use]
    #[inline]
    pub fn text(text: &str) -> Self {
        let mut key = Text::Short { length: 0, bytes: [0; SHORT] };
        key.push(text);
        Self(key)
    }

    /// Goes on with literal text.
    #[must_use]
    #[inline]
    pub fn then(mut self, text: &str) -> Self {
        self.push_text(text);
        self
    }

    /// Goes on with a value, escaped.
    #[must_use]
    pub fn value(mut self, value: impl Display) -> Self {
        self.push_value(value);
        self
    }

    #[inline]
    pub(crate) fn push_text(&mut self, text: &str) {
        self.0.push(text);
    }

    pub(crate) fn push_value(&mut self, value: impl Display) {
        // Writing to a String fails only when the value's Display does; what was written stands.
        let _ = write!(Escape(&mut self.0), "{value}");
    }

    /// A whole number, which has nothing to escape: keys are mostly ids, and formatting one takes longer
    /// than looking it up.
    #[inline]
    pub(crate) fn push_number(&mut self, negative: bool, magnitude: u64) {
        if !self.0.push_short_number(negative, magnitude) {
            self.push_value(format_args!("{}{magnitude}", if negative { "-" } else { "" }));
        }
    }

    /// The key as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What the key is stored under in memory, when it is the key as written.
    #[inline]
    pub(crate) fn short(&self) -> Option<&[u8]> {
        Some(self.0.as_bytes()).filter(|bytes| bytes.len() <= LONGEST)
    }

    /// As it is stored: the key itself, or its beginning and its hash when it is long.
    pub(crate) fn stored(self) -> Self {
        if self.short().is_some() {
            return self;
        }
        let text = self.as_str();
        let mut end = KEPT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let hash = hash128(text.as_bytes());
        Self(Text::Long(format!("{}~{hash:032x}", &text[..end])))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
impl Eq for Key {}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.as_str()).finish()
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

struct Escape<'a>(&'a mut Text);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut clean = 0;
        for (at, byte) in text.bytes().enumerate() {
            if stands_for_itself(byte) {
                continue;
            }
            self.0.push(&text[clean..at]);
            let digit = |half: u8| DIGITS[usize::from(half)];
            let escaped = [b'%', digit(byte >> 4), digit(byte & 15)];
            self.0.push(std::str::from_utf8(&escaped).unwrap_or_default());
            clean = at + 1;
        }
        self.0.push(&text[clean..]);
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
    fn a_number_is_written_as_its_display() {
        fn both(number: i64) -> (String, String) {
            let mut quick = Key::text("");
            quick.push_number(number < 0, number.unsigned_abs());
            (quick.as_str().to_owned(), number.to_string())
        }
        for number in [0, 1, 9, 10, -1, 12345, i64::MAX, i64::MIN] {
            let (quick, shown) = both(number);
            assert_eq!(quick, shown);
        }
        let mut largest = Key::text("");
        largest.push_number(false, u64::MAX);
        assert_eq!(largest.as_str(), u64::MAX.to_string());
        // Without room for it, it goes on as a long key.
        let mut long = Key::text(&"x".repeat(SHORT - 1));
        long.push_number(true, 12);
        assert!(long.as_str().ends_with("x-12"), "{long}");
    }

    #[test]
    fn a_long_key_is_stored_short_and_stays_its_own() {
        let long = |end: &str| Key::text("q:").value("ä".repeat(300) + end).stored();
        assert!(long("x").as_str().len() < 140);
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
