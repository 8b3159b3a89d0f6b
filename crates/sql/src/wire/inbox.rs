use std::ops::Range;

use super::frame::{HEAD, Head, head};

/// Bytes from the server: filled at the end, taken message by message from the front. It grows to
/// the largest message seen and no further.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

const FIRST_SIZE: usize = 16 << 10;

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; FIRST_SIZE], start: 0, end: 0 }
    }

    /// Room to read into; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                let double = self.bytes.len() * 2;
                self.bytes.resize(double, 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    /// Says how much was read into the room.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The next whole message: its tag, and where its body lies.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Range<usize>)>, &'static str> {
        let Some(Head { tag, body }) = head(&self.bytes[self.start..self.end])? else {
            return Ok(None);
        };
        let from = self.start + HEAD;
        if self.end - self.start < HEAD + body {
            return Ok(None);
        }
        self.start = from + body;
        Ok(Some((tag, from..from + body)))
    }

    /// A body that [`Inbox::next`] named; valid until the next read.
    pub(crate) fn body(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn read_all(inbox: &mut Inbox, bytes: &[u8], cuts: &[usize]) -> Vec<(u8, Vec<u8>)> {
        let (mut rest, mut seen, mut cuts) = (bytes, Vec::new(), cuts.iter().cycle());
        while !rest.is_empty() {
            let room = inbox.room();
            let n = cuts.next().map_or(1, |c| c % 97 + 1).min(room.len()).min(rest.len());
            room[..n].copy_from_slice(&rest[..n]);
            inbox.filled(n);
            rest = &rest[n..];
            while let Ok(Some((tag, range))) = inbox.next() {
                seen.push((tag, inbox.body(range).to_vec()));
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn messages_come_out_whole_wherever_they_were_cut(
            messages in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..400)), 1..40),
            cuts in prop::collection::vec(any::<usize>(), 1..20),
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|(t, b)| message(*t, b)).collect();
            prop_assert_eq!(read_all(&mut Inbox::new(), &bytes, &cuts), messages);
        }

        #[test]
        fn garbage_is_refused_or_waits_but_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let mut inbox = Inbox::new();
            read_all(&mut inbox, &bytes, &[13]);
            prop_assert!(inbox.bytes.len() <= FIRST_SIZE);
        }
    }

    #[test]
    fn a_message_larger_than_the_buffer_makes_it_grow() {
        let body = vec![7; 100_000];
        let mut inbox = Inbox::new();
        let seen = read_all(&mut inbox, &message(b'D', &body), &[96]);
        assert_eq!(seen, [(b'D', body)]);
        assert!(inbox.bytes.len() < 300_000);
    }
}
