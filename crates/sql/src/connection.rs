use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use pinchpoint_load::{Probe, Timer};
use pinchpoint_measure::{Cause, Phase};
use postgres_protocol::message::frontend;

use crate::SqlError;
use crate::stream::Stream;
use crate::wire::{Answer, Inbox, sync};

/// A session on a server.
///
/// Bytes to send are put into [`Connection::out`]; both buffers are kept, so that an operation
/// allocates nothing once they have grown to its size.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    inbox: Inbox,
    pub(crate) out: BytesMut,
    /// The load's one statement has been prepared here.
    pub(crate) prepared: bool,
    /// Statements of a script that have been prepared here, by their index.
    pub(crate) scripted: Vec<bool>,
    /// How long it took to be made, until somebody takes note of it.
    pub(crate) set_up: Option<SetUp>,
    /// For pauses before it goes back to its pool, once there was one.
    pub(crate) timer: Option<Timer>,
    parameters: BTreeMap<String, String>,
    /// What the peer said at the start is the process that serves it.
    backend_pid: u32,
    usable: bool,
    in_transaction: bool,
}

/// Columns' names, and rows of values as text.
pub type Rows = (Vec<String>, Vec<Vec<Option<String>>>);

/// How long each part of making a connection took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SetUp {
    pub(crate) tcp: Duration,
    pub(crate) tls: Duration,
    pub(crate) auth: Duration,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            inbox: Inbox::new(),
            out: BytesMut::with_capacity(8 << 10),
            prepared: false,
            scripted: Vec::new(),
            set_up: None,
            timer: None,
            parameters: BTreeMap::new(),
            backend_pid: 0,
            usable: true,
            in_transaction: false,
        }
    }

    /// Whether another operation may be tried on it. A protocol error, a broken socket or an
    /// operation that was given up half-way ends its use.
    pub const fn is_usable(&self) -> bool {
        self.usable
    }

    /// The server process that serves the session, as the peer says at the start; a pooler makes a
    /// number up. 0 when it said none.
    pub const fn backend_pid(&self) -> u32 {
        self.backend_pid
    }

    /// Takes note of a `BackendKeyData`: the process, and a key to cancel with.
    pub(crate) fn set_backend(&mut self, body: &[u8]) {
        if let Some((pid, _)) = body.split_first_chunk::<4>() {
            self.backend_pid = u32::from_be_bytes(*pid);
        }
    }

    /// How long an empty request takes there and back: the server does nothing for it.
    pub async fn round_trip(&mut self) -> Result<Duration, SqlError> {
        self.out.clear();
        sync(&mut self.out);
        let start = Instant::now();
        self.send().await?;
        self.receive(0).await?;
        Ok(start.elapsed())
    }

    /// Whether the last answer left a transaction open.
    pub(crate) const fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Ends its use.
    pub(crate) const fn give_up(&mut self) {
        self.usable = false;
    }

    /// Reports how long it took to be made, if nobody has yet.
    pub(crate) fn note_set_up(&mut self, probe: &mut Probe) {
        if let Some(set_up) = self.set_up.take() {
            probe.add(Phase::Tcp, set_up.tcp);
            probe.add(Phase::Tls, set_up.tls);
            probe.add(Phase::Auth, set_up.auth);
        }
    }

    /// What the server said of one of its parameters at the start, `server_version` for instance.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(crate) fn set_parameter(&mut self, name: String, value: String) {
        self.parameters.insert(name, value);
    }

    /// Sends all of [`Connection::out`] and empties it. While the socket takes no more, answers are
    /// read: a server that waits for us to read them would otherwise never read on.
    pub(crate) async fn send(&mut self) -> Result<(), SqlError> {
        let Self { stream, inbox, out, usable, .. } = self;
        // Cleared again at the end: an operation that is dropped half-way leaves a broken session.
        *usable = false;
        let mut sent = 0;
        poll_fn(|cx| poll_send(stream, inbox, out, &mut sent, cx))
            .await
            .map_err(|e| SqlError::io(&e))?;
        out.clear();
        *usable = true;
        Ok(())
    }

    /// Reads until the server is ready for the next operation. The instant is that at which
    /// `completions` statements had completed, when the server became ready only later.
    pub(crate) async fn receive(
        &mut self,
        completions: u64,
    ) -> Result<(Answer, Option<Instant>), SqlError> {
        self.receive_each(completions, |_, _| ()).await
    }

    /// The same, and shows each message to `visit` on the way.
    pub(crate) async fn receive_each(
        &mut self,
        completions: u64,
        mut visit: impl FnMut(u8, &[u8]),
    ) -> Result<(Answer, Option<Instant>), SqlError> {
        self.usable = false;
        let mut answer = Answer::default();
        let mut completed = None;
        loop {
            while let Some((tag, range)) = self.inbox.next().map_err(SqlError::wrong)? {
                let body = self.inbox.body(range);
                answer.take(tag, body)?;
                visit(tag, body);
                if answer.ready {
                    self.usable = true;
                    self.in_transaction = answer.in_transaction;
                    return Ok((answer, completed));
                }
            }
            if completed.is_none() && completions > 0 && answer.completions >= completions {
                completed = Some(Instant::now());
            }
            self.fill().await.map_err(|error| match answer.error.take() {
                // A server that shuts down says so before it closes.
                Some(said) if error.cause == Cause::Closed => said,
                _ => error,
            })?;
        }
    }

    /// Waits for one message, for the exchanges before the first operation.
    pub(crate) async fn message(&mut self) -> Result<(u8, Vec<u8>), SqlError> {
        loop {
            if let Some((tag, range)) = self.inbox.next().map_err(SqlError::wrong)? {
                return Ok((tag, self.inbox.body(range).to_vec()));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), SqlError> {
        let Self { stream, inbox, .. } = self;
        let count =
            poll_fn(|cx| stream.poll_read(cx, inbox.room())).await.map_err(|e| SqlError::io(&e))?;
        if count == 0 {
            return Err(SqlError::closed());
        }
        inbox.filled(count);
        Ok(())
    }

    /// Runs statements by the simple protocol and returns the rows as text.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
        Ok(self.query_named(sql).await?.1)
    }

    /// The same, with the names of the last statement's columns before the rows.
    pub async fn query_named(&mut self, sql: &str) -> Result<Rows, SqlError> {
        if !self.usable {
            // What comes next would be the answer to that, and be taken for this one's.
            let text = "the session has broken, or an earlier statement was given up half-way";
            return Err(SqlError::new(Cause::Closed, text));
        }
        frontend::query(sql, &mut self.out).map_err(|e| SqlError::wrong(e.to_string()))?;
        self.send().await?;
        self.usable = false;
        let (mut columns, mut rows, mut error) = (Vec::new(), Vec::new(), None);
        loop {
            let (tag, body) = self.message().await.map_err(|e| match error.take() {
                Some(said) if e.cause == Cause::Closed => said,
                _ => e,
            })?;
            match tag {
                b'T' => columns = row_description(&body),
                b'D' => rows.push(data_row(&body).ok_or_else(|| SqlError::wrong("a bad row"))?),
                b'Z' => {
                    self.in_transaction = body != b"I";
                    break;
                }
                b'E' => {
                    let mut answer = Answer::default();
                    answer.take(tag, &body)?;
                    error = error.or(answer.error);
                }
                _ => (),
            }
        }
        self.usable = true;
        match error {
            Some(error) => Err(error),
            None => Ok((columns, rows)),
        }
    }

    /// Says good-bye and closes.
    pub async fn close(mut self) {
        if self.usable {
            self.out.clear();
            frontend::terminate(&mut self.out);
            let _ = self.send().await;
        }
    }
}

fn poll_send(
    stream: &mut Stream,
    inbox: &mut Inbox,
    out: &[u8],
    sent: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        let polled = if *sent < out.len() {
            match stream.poll_write(cx, &out[*sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Ready(Ok(count)) => {
                    *sent += count;
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        } else {
            stream.poll_flush(cx)
        };
        if polled.is_ready() {
            return polled;
        }
        match stream.poll_read(cx, inbox.room()) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Ok(count)) => inbox.filled(count),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// The columns' names of a `RowDescription`; each is followed by 18 bytes that do not matter here.
pub(crate) fn row_description(body: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = rest.get(end + 19..).unwrap_or_default();
    }
    names
}

/// A `DataRow` of text values.
pub(crate) fn data_row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        row.push(match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => None,
            Ok(length) => {
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            }
        });
    }
    Some(row)
}
