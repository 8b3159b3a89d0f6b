//! Reads an answer piece by piece, wherever it was cut: no I/O, no memory of its own.

/// A head larger than this is refused.
const LARGEST_HEAD: usize = 64 << 10;
/// A line with a chunk's size that is longer than this is refused.
const LONGEST_SIZE_LINE: usize = 1 << 10;
/// No more of a body than this is kept for checks.
pub(crate) const LARGEST_KEPT: usize = 16 << 20;
const FIELDS: usize = 96;

/// The state of one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decoder {
    state: State,
    to_head: bool,
    /// The status; 0 before the head is read.
    pub(crate) status: u16,
    /// Whether the connection may be used again.
    pub(crate) keep_alive: bool,
    /// Bytes of the body so far.
    pub(crate) body_bytes: u64,
    /// What a cache in front or behind said of this answer.
    pub(crate) cache: Option<Lookup>,
}

/// Whether a cache had what was asked for, by the header field `X-Cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    Hit,
    Miss,
}

impl Lookup {
    /// Proxies and networks say `HIT`, `Miss from …`; the blog service says where the value was.
    fn read(fields: &[httparse::Header<'_>]) -> Option<Self> {
        let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case("x-cache"))?;
        let says = |word: &str| {
            let start = field.value.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        if says("miss") {
            return Some(Self::Miss);
        }
        ["hit", "memory", "redis", "stale"].into_iter().any(says).then_some(Self::Hit)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of a body, or of a chunk when `chunked`, are left.
    Body {
        left: u64,
        chunked: bool,
    },
    ChunkSize,
    /// The line end after a chunk.
    ChunkEnd,
    /// Fields after the last chunk, up to an empty line.
    Trailer,
    UntilClosed,
    Done,
}

/// What is wrong with an answer: it is no HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Decoder {
    /// For the answer to a request; that to `HEAD` has no body.
    pub(crate) fn new(to_head: bool) -> Self {
        Self { to_head, ..Self::default() }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes what it can of the input, and says how much that was. `keep` collects the body.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        mut keep: Option<&mut Vec<u8>>,
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let taken = match self.state {
                State::Done => return Ok(at),
                State::Head => self.head(rest)?,
                State::UntilClosed => self.body(rest, rest.len(), keep.as_deref_mut()),
                State::Body { left, chunked } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let taken = self.body(rest, here, keep.as_deref_mut());
                    let left = left - taken as u64;
                    self.state = match (left, chunked) {
                        (0, true) => State::ChunkEnd,
                        (0, false) => State::Done,
                        _ => State::Body { left, chunked },
                    };
                    taken
                }
                State::ChunkSize => self.chunk_size(rest)?,
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.state = State::ChunkSize;
                        2
                    }
                    [] | [b'\r'] => 0,
                    _ => return Err(Malformed),
                },
                State::Trailer => self.trailer(rest)?,
            };
            if taken == 0 && !self.is_done() {
                return Ok(at);
            }
            at += taken;
        }
    }

    /// The peer has closed: the end of an answer without a length, and too early for any other.
    pub(crate) fn closed(&mut self) -> bool {
        if self.state == State::UntilClosed {
            self.state = State::Done;
        }
        self.is_done()
    }

    fn body(&mut self, rest: &[u8], count: usize, keep: Option<&mut Vec<u8>>) -> usize {
        if let Some(keep) = keep {
            let room = LARGEST_KEPT.saturating_sub(keep.len());
            keep.extend_from_slice(&rest[..count.min(room)]);
        }
        self.body_bytes += count as u64;
        count
    }

    fn head(&mut self, rest: &[u8]) -> Result<usize, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        let length = match answer.parse(rest) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if rest.len() <= LARGEST_HEAD => return Ok(0),
            _ => return Err(Malformed),
        };
        let status = answer.code.unwrap_or(0);
        if (100..200).contains(&status) {
            // What is only provisional is passed over; a change of protocol was not asked for.
            return if status == 101 { Err(Malformed) } else { Ok(length) };
        }
        self.status = status;
        self.cache = Lookup::read(answer.headers);
        let framing = Framing::read(answer.version == Some(1), answer.headers)?;
        self.keep_alive = framing.keep_alive;
        self.state = if self.to_head || status == 204 || status == 304 {
            State::Done
        } else if framing.chunked {
            State::ChunkSize
        } else {
            match framing.length {
                Some(0) => State::Done,
                Some(left) => State::Body { left, chunked: false },
                None => State::UntilClosed,
            }
        };
        if self.state == State::UntilClosed {
            self.keep_alive = false;
        }
        Ok(length)
    }

    fn chunk_size(&mut self, rest: &[u8]) -> Result<usize, Malformed> {
        let Some(end) = rest.iter().position(|b| *b == b'\n') else {
            return if rest.len() <= LONGEST_SIZE_LINE { Ok(0) } else { Err(Malformed) };
        };
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| Malformed)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        if digits.starts_with('+') {
            return Err(Malformed);
        }
        let left = u64::from_str_radix(digits, 16).map_err(|_| Malformed)?;
        self.state = if left == 0 { State::Trailer } else { State::Body { left, chunked: true } };
        Ok(end + 1)
    }

    fn trailer(&mut self, rest: &[u8]) -> Result<usize, Malformed> {
        let Some(end) = rest.iter().position(|b| *b == b'\n') else {
            return if rest.len() <= LARGEST_HEAD { Ok(0) } else { Err(Malformed) };
        };
        if rest[..end].iter().all(|b| *b == b'\r') {
            self.state = State::Done;
        }
        Ok(end + 1)
    }
}

/// What the head says of the body's length and of the connection.
struct Framing {
    length: Option<u64>,
    chunked: bool,
    keep_alive: bool,
}

impl Framing {
    fn read(persistent: bool, fields: &[httparse::Header<'_>]) -> Result<Self, Malformed> {
        let mut framing = Self { length: None, chunked: false, keep_alive: persistent };
        for field in fields {
            if field.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(field.value).map_err(|_| Malformed)?.trim();
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let length: u64 = text.parse().map_err(|_| Malformed)?;
                if !digits || framing.length.is_some_and(|other| other != length) {
                    return Err(Malformed);
                }
                framing.length = Some(length);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                // `chunked` is the last of the codings, or the end of the connection is the end.
                framing.chunked = has_token(field.value, "chunked");
            } else if field.name.eq_ignore_ascii_case("connection") {
                if has_token(field.value, "close") {
                    framing.keep_alive = false;
                } else if has_token(field.value, "keep-alive") {
                    framing.keep_alive = true;
                }
            }
        }
        Ok(framing)
    }
}

fn has_token(value: &[u8], token: &str) -> bool {
    value.split(|b| *b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds an answer in pieces; what is left over, the body, and the state at the end.
    fn decode(input: &[u8], cuts: &[usize]) -> (Decoder, Vec<u8>, Result<usize, Malformed>) {
        let (mut decoder, mut body) = (Decoder::new(false), Vec::new());
        let (mut pending, mut total) = (Vec::new(), 0);
        let mut pieces: Vec<usize> = cuts.iter().map(|c| c % (input.len() + 1)).collect();
        pieces.extend([0, input.len()]);
        pieces.sort_unstable();
        for piece in pieces.windows(2) {
            pending.extend_from_slice(&input[piece[0]..piece[1]]);
            match decoder.feed(&pending, Some(&mut body)) {
                Ok(taken) => {
                    total += taken;
                    pending.drain(..taken);
                }
                Err(error) => return (decoder, body, Err(error)),
            }
        }
        (decoder, body, Ok(total))
    }

    const LENGTH: &[u8] =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloREST";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
        4;x=y\r\nwiki\r\n3 \r\nped\r\n0\r\nTrailer: 1\r\n\r\nREST";

    #[test]
    fn lengths_and_chunks_end_where_they_say() {
        let (decoder, body, taken) = decode(LENGTH, &[]);
        assert_eq!((decoder.status, body.as_slice()), (200, b"hello".as_slice()));
        assert_eq!(taken, Ok(LENGTH.len() - 4));
        assert!(decoder.is_done() && decoder.keep_alive);
        let (decoder, body, taken) = decode(CHUNKED, &[]);
        assert_eq!((body.as_slice(), decoder.body_bytes), (b"wikiped".as_slice(), 7));
        assert_eq!(taken, Ok(CHUNKED.len() - 4));
        assert!(decoder.is_done());
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_is_the_end() {
        let (mut decoder, body, _) = decode(b"HTTP/1.1 200 OK\r\n\r\nabc", &[3, 19]);
        assert!(!decoder.is_done() && !decoder.keep_alive);
        assert!(decoder.closed());
        assert_eq!(body, b"abc");
        let (mut decoder, ..) = decode(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", &[]);
        assert!(!decoder.closed(), "too early");
    }

    #[test]
    fn some_answers_have_no_body() {
        let (decoder, ..) = decode(b"HTTP/1.1 204 No Content\r\n\r\n", &[]);
        assert!(decoder.is_done());
        let mut decoder = Decoder::new(true);
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(decoder.feed(head, None), Ok(head.len()));
        assert!(decoder.is_done());
    }

    #[test]
    fn the_connection_is_kept_as_the_version_and_the_field_say() {
        for (text, kept) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ] {
            assert_eq!(decode(text.as_bytes(), &[]).0.keep_alive, kept, "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for text in [
            "SMTP ready\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert_eq!(decode(text.as_bytes(), &[]).2, Err(Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_an_answer_is_cut(cuts in prop::collection::vec(0..200_usize, 0..20)) {
            for whole in [LENGTH, CHUNKED] {
                prop_assert_eq!(decode(whole, &cuts), decode(whole, &[]));
            }
        }

        #[test]
        fn hostile_bytes_never_panic(
            head in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
            tail in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec(0..200_usize, 0..5),
        ) {
            let mut input = head.as_bytes().to_vec();
            input.extend(tail);
            let (decoder, body, _) = decode(&input, &cuts);
            prop_assert_eq!(decoder.body_bytes, body.len() as u64);
        }
    }
}
