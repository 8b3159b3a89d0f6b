use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use pinchpoint_load::Timer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::line::Line;
use crate::shape::LiveShape;

/// Bytes taken in at once, at most.
const READ: usize = 64 << 10;
/// Bytes of a direction that may be under way; beyond it the sender has to wait, as on any line.
const UNDER_WAY: usize = 4 << 20;
/// A capped line carries its bytes in pieces of at most this many milliseconds, so that it flows
/// and does not pulse.
const PIECE_MS: u64 = 2;
/// Smaller pieces than this cost more than they smooth.
const SMALLEST_PIECE: u64 = 512;

/// One direction of a connection, to its end.
pub(crate) struct Flow<'a> {
    pub(crate) shape: &'a LiveShape,
    pub(crate) line: &'a Line,
    queue: VecDeque<Parcel>,
    under_way: usize,
    timer: Timer,
}

/// What was read at once. It keeps its boundaries, so that two answers never become one packet
/// because they waited together.
struct Parcel {
    due: Instant,
    bytes: Box<[u8]>,
    sent: usize,
    /// The piece that has its turn on a capped line: its end, and when it is through.
    cleared: Option<(usize, Instant)>,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(shape: &'a LiveShape, line: &'a Line) -> Self {
        Self { shape, line, queue: VecDeque::new(), under_way: 0, timer: Timer::new() }
    }

    /// Carries bytes until the sender closes, then closes towards the receiver. `heard` is called for
    /// whatever comes in.
    pub(crate) async fn carry(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        heard: impl Fn(),
    ) -> io::Result<()> {
        let mut room = vec![0; READ];
        let mut open = true;
        while open || !self.queue.is_empty() {
            let may_read = open && self.under_way < UNDER_WAY;
            tokio::select! {
                // Arrivals are stamped first: a delay counts from when the bytes came.
                biased;
                read = from.read(&mut room), if may_read => match read? {
                    0 => open = false,
                    n => {
                        self.take_in(&room[..n]);
                        heard();
                    }
                },
                sent = deliver(&mut self.queue, self.shape, self.line, &self.timer, &mut to),
                    if !self.queue.is_empty() => self.under_way -= sent?,
            }
        }
        to.shutdown().await
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.under_way += bytes.len();
        let due = Instant::now() + self.shape.delay();
        self.queue.push_back(Parcel { due, bytes: bytes.into(), sent: 0, cleared: None });
    }
}

/// Writes some of the oldest parcel, once it is due; says how much. It may be given up at any
/// point: nothing is lost and nothing is sent twice.
async fn deliver(
    queue: &mut VecDeque<Parcel>,
    shape: &LiveShape,
    line: &Line,
    timer: &Timer,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<usize> {
    let Some(parcel) = queue.front_mut() else { return Ok(0) };
    timer.sleep_until(parcel.due).await;
    let end = match (parcel.cleared, shape.bytes_per_s()) {
        (Some((end, through)), _) => {
            timer.sleep_until(through).await;
            end
        }
        (None, Some(bytes_per_s)) => {
            let piece = (bytes_per_s * PIECE_MS / 1000).max(SMALLEST_PIECE);
            let piece = usize::try_from(piece).unwrap_or(usize::MAX);
            let end = parcel.sent.saturating_add(piece).min(parcel.bytes.len());
            let through = line.reserve(end - parcel.sent, bytes_per_s, Instant::now());
            parcel.cleared = Some((end, through));
            timer.sleep_until(through).await;
            end
        }
        (None, None) => parcel.bytes.len(),
    };
    let sent = to.write(&parcel.bytes[parcel.sent..end]).await?;
    if sent == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    parcel.sent += sent;
    if parcel.sent == end {
        parcel.cleared = None;
    }
    if parcel.sent == parcel.bytes.len() {
        queue.pop_front();
    }
    Ok(sent)
}
