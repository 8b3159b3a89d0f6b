//! What stands in Redis under a key: a value with its times and its tags' versions, or the lease of
//! whoever is fetching it. A golden test holds these bytes: a changed layout would not fail, it
//! would only never hit.
//!
//! | bytes | a value | a lease |
//! |---|---|---|
//! | 0 | 1, the layout | 1 |
//! | 1 | `V`, or `A` for an absent value | `L` |
//! | 2–9 | version: random, new at each write | the holder's token |
//! | 10–17 | fetched at, ms since 1970, little-endian | |
//! | 18–25 | fresh until, ms since 1970 | |
//! | 26–33 | may be served until, ms since 1970 | |
//! | 34 | number of tags, then 8 bytes each: the tag's version | |
//! | rest | the value in postcard | |

use std::time::Duration;

/// The first bytes of whatever stands under a key; each write makes them new.
pub(crate) const HEADER: usize = 10;
const LAYOUT: u8 = 1;
const FIXED: usize = 35;

/// Names one write, one lease or one state of a tag.
pub(crate) type Version = [u8; 8];

pub(crate) fn new_version() -> Version {
    fastrand::u64(..).to_le_bytes()
}

/// A value's times, in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) fetched: u64,
    pub(crate) fresh_until: u64,
    pub(crate) served_until: u64,
}

impl Times {
    pub(crate) fn new(now: u64, fresh_for: Duration, stale: Duration) -> Self {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let fresh_until = now.saturating_add(ms(fresh_for).max(1));
        Self { fetched: now, fresh_until, served_until: fresh_until.saturating_add(ms(stale)) }
    }

    pub(crate) fn are_fresh(&self, now: u64) -> bool {
        now < self.fresh_until.min(self.served_until)
    }
}

/// What was found under a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Value(Envelope<'a>),
    /// Somebody is fetching the value.
    Lease,
    /// Bytes that are not ours, or of another layout.
    Foreign,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub(crate) header: [u8; HEADER],
    pub(crate) times: Times,
    pub(crate) tags: Vec<Version>,
    /// The value's bytes; none when the value is absent.
    pub(crate) payload: Option<&'a [u8]>,
}

pub(crate) fn lease(token: Version) -> [u8; HEADER] {
    header(b'L', token)
}

fn header(kind: u8, version: Version) -> [u8; HEADER] {
    let mut header = [LAYOUT, kind, 0, 0, 0, 0, 0, 0, 0, 0];
    header[2..].copy_from_slice(&version);
    header
}

/// At most 255 tags; the builder of a call sees to that.
pub(crate) fn encode(
    version: Version,
    times: Times,
    tags: &[Version],
    payload: Option<&[u8]>,
) -> Vec<u8> {
    let kind = if payload.is_some() { b'V' } else { b'A' };
    let mut bytes = Vec::with_capacity(FIXED + 8 * tags.len() + payload.map_or(0, <[u8]>::len));
    bytes.extend_from_slice(&header(kind, version));
    for time in [times.fetched, times.fresh_until, times.served_until] {
        bytes.extend_from_slice(&time.to_le_bytes());
    }
    bytes.push(u8::try_from(tags.len()).unwrap_or(u8::MAX));
    for tag in tags {
        bytes.extend_from_slice(tag);
    }
    bytes.extend_from_slice(payload.unwrap_or_default());
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Found<'_> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Found::Foreign };
    match header[..2] {
        [LAYOUT, b'L'] if bytes.len() == HEADER => Found::Lease,
        [LAYOUT, kind @ (b'V' | b'A')] => {
            value(*header, kind, bytes).map_or(Found::Foreign, Found::Value)
        }
        _ => Found::Foreign,
    }
}

fn value(header: [u8; HEADER], kind: u8, bytes: &[u8]) -> Option<Envelope<'_>> {
    let time = |at: usize| {
        let bytes = bytes.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let times = Times { fetched: time(10)?, fresh_until: time(18)?, served_until: time(26)? };
    let count = usize::from(*bytes.get(FIXED - 1)?);
    let payload = FIXED + 8 * count;
    let tags = bytes.get(FIXED..payload)?.as_chunks::<8>().0.to_vec();
    let payload = bytes.get(payload..)?;
    Some(Envelope { header, times, tags, payload: (kind == b'V').then_some(payload) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMES: Times = Times { fetched: 1, fresh_until: 0x0203, served_until: 0x0405_0607 };

    #[test]
    fn the_layout_is_pinned() {
        let bytes = encode(*b"version!", TIMES, &[*b"tag-one1"], Some(b"payload"));
        let expected: &[u8] = b"\x01Vversion!\
            \x01\0\0\0\0\0\0\0\x03\x02\0\0\0\0\0\0\x07\x06\x05\x04\0\0\0\0\
            \x01tag-one1payload";
        assert_eq!(bytes, expected);
        assert_eq!(encode(*b"version!", TIMES, &[], None)[..2], *b"\x01A");
        assert_eq!(&lease(*b"a token!"), b"\x01La token!");
    }

    #[test]
    fn what_is_not_ours_is_foreign() {
        for bytes in [&b""[..], b"\x01", b"OK", b"\x01L123", b"\x02V12345678", b"\x01V12345678"] {
            assert_eq!(decode(bytes), Found::Foreign, "{bytes:?}");
        }
        assert_eq!(decode(&lease(*b"a token!")), Found::Lease);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            version: [u8; 8], times: [u64; 3], tags: Vec<[u8; 8]>, payload: Option<Vec<u8>>
        ) {
            let times = Times { fetched: times[0], fresh_until: times[1], served_until: times[2] };
            let tags = &tags[..tags.len().min(255)];
            let bytes = encode(version, times, tags, payload.as_deref());
            let Found::Value(envelope) = decode(&bytes) else { panic!("not a value") };
            prop_assert_eq!(&envelope.header[2..], &version[..]);
            prop_assert_eq!(envelope.times, times);
            prop_assert_eq!(&envelope.tags[..], tags);
            prop_assert_eq!(envelope.payload, payload.as_deref());
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
