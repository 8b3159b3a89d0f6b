//! pgbench's transaction log: a line for each transaction or each interval, in its fields and their
//! order.
//!
//! A load thread appends to a buffer of its own and hands full ones to a writer. Buffers are made
//! once and go round; when all of them wait for the disk, lines are left out and counted, because
//! waiting for the disk would be measured as the server's slowness.

mod aggregate;
mod line;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pinchpoint_load::Ended;

use self::aggregate::{Aggregate, Span, Sums};

/// Bytes of a buffer.
const BUFFER: usize = 64 << 10;
/// Buffers of a load thread: at 200,000 transactions a second they outlast a disk that stands still
/// for a quarter of a second.
const BUFFERS: usize = 32;
/// No line of a transaction is longer: six numbers of 20 digits and two of ten.
const LONGEST_LINE: usize = 160;
/// No line of an interval is longer: fifteen numbers, two of them sums of squares.
const LONGEST_SUM: usize = 400;
/// How long the end of a run waits for the last lines to be written.
const GRACE: Duration = Duration::from_secs(10);

/// A transaction log of a run: a file for each load thread, as pgbench has it.
#[derive(Debug)]
pub struct TransactionLog {
    layout: LogLayout,
    share: f64,
    files: Mutex<Vec<Option<File>>>,
    ends: Mutex<Receiver<LogWritten>>,
    end: Sender<LogWritten>,
    started: Mutex<usize>,
    span: Arc<Span>,
    /// One moment on both clocks.
    clocks: (Instant, Duration),
}

/// Which fields a line has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogLayout {
    /// The delay behind the intended start, with a rate.
    pub lag: bool,
    /// The tries beyond the first, where there may be any.
    pub retries: bool,
    /// Failures are told apart: `serialization` and `deadlock` instead of `failed`.
    pub failures: bool,
    /// A line for each interval of this length, instead of one for each transaction.
    pub interval: Option<Duration>,
}

/// What became of a log.
#[derive(Debug, Default)]
pub struct LogWritten {
    /// Lines handed to the operating system.
    pub lines: u64,
    /// Lines left out, because the disk did not keep up.
    pub lost: u64,
    /// Why a file could not be written to its end.
    pub error: Option<io::Error>,
}

impl TransactionLog {
    /// A log in these files, one for each load thread; `share` of the transactions are written,
    /// chosen at random.
    pub fn new(files: Vec<File>, layout: LogLayout, share: f64) -> Self {
        let (end, ends) = channel();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            layout,
            share,
            files: Mutex::new(files.into_iter().map(Some).collect()),
            ends: Mutex::new(ends),
            end,
            started: Mutex::new(0),
            span: Arc::default(),
            clocks: (Instant::now(), unix),
        }
    }

    /// From here on transactions are logged: the first interval begins.
    pub fn begin(&self) {
        let _ = self.span.begun.set(Instant::now());
    }

    /// No more transactions are logged: the last interval ends.
    pub fn end(&self) {
        let _ = self.span.ended.set(Instant::now());
    }

    /// The log of a load thread, whose writer starts with it; `None` when it has no file.
    pub(crate) fn of_thread(&self, thread: usize, seed: u64) -> io::Result<Option<ThreadLog>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = files.get_mut(thread).and_then(Option::take) else { return Ok(None) };
        // Room for every buffer and one message more: whoever hands over never waits.
        let (full, inbox) = sync_channel(BUFFERS + 1);
        let (outbox, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // There is room for all.
            let _ = outbox.try_send(Vec::with_capacity(BUFFER));
        }
        let end = self.end.clone();
        std::thread::Builder::new().name(format!("log-{thread}")).spawn(move || {
            let _ = end.send(write_all(file, &inbox, &outbox));
        })?;
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let lines = Lines {
            layout: self.layout,
            share: self.share,
            random: fastrand::Rng::with_seed(seed),
            clocks: self.clocks,
            aggregate: self.layout.interval.map(|length| Aggregate::new(length, self.span.clone())),
            buffer: empty.try_recv().unwrap_or_default(),
            held: 0,
            lost: 0,
            full,
            empty,
        };
        Ok(Some(ThreadLog(Rc::new(RefCell::new(lines)))))
    }

    /// Waits until all is written; call it once the load threads have ended.
    pub fn finish(&self) -> LogWritten {
        let started = *self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = LogWritten::default();
        let until = Instant::now() + GRACE;
        for _ in 0..started {
            match ends.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(one) => {
                    all.lines += one.lines;
                    all.lost += one.lost;
                    all.error = all.error.or(one.error);
                }
                Err(_) => {
                    let text = "it was not written in time";
                    all.error = all.error.or(Some(io::Error::new(io::ErrorKind::TimedOut, text)));
                }
            }
        }
        all
    }
}

/// What a load thread hands to its writer.
#[derive(Debug)]
enum Message {
    /// Lines, and how many.
    Full(Vec<u8>, u64),
    /// So many lines were left out; the last that is said.
    Lost(u64),
}

/// What a writer does until its load thread has gone. When the file cannot be written, buffers go
/// round all the same: the load is not to be held up.
fn write_all(mut file: File, inbox: &Receiver<Message>, empty: &SyncSender<Vec<u8>>) -> LogWritten {
    let mut written = LogWritten::default();
    while let Ok(message) = inbox.recv() {
        let (mut buffer, lines) = match message {
            Message::Full(buffer, lines) => (buffer, lines),
            Message::Lost(lines) => {
                written.lost += lines;
                continue;
            }
        };
        if written.error.is_none() {
            match file.write_all(&buffer) {
                Ok(()) => written.lines += lines,
                Err(error) => written.error = Some(error),
            }
        }
        buffer.clear();
        let _ = empty.try_send(buffer);
    }
    written
}

/// The lines of one load thread, shared by its users.
#[derive(Debug, Clone)]
pub(crate) struct ThreadLog(Rc<RefCell<Lines>>);

/// A transaction of a client, as a line has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// The client's number, from 0.
    pub(crate) client: u64,
    /// The transaction's number among those of the client, from 1.
    pub(crate) number: u64,
    /// Tries beyond the first.
    pub(crate) retries: u32,
}

impl ThreadLog {
    pub(crate) fn write(&self, entry: Entry, ended: &Ended<'_>) {
        self.0.borrow_mut().write(entry, ended);
    }
}

#[derive(Debug)]
struct Lines {
    layout: LogLayout,
    share: f64,
    random: fastrand::Rng,
    clocks: (Instant, Duration),
    /// What is summed up, when a line is of an interval.
    aggregate: Option<Aggregate>,
    buffer: Vec<u8>,
    /// Lines in it.
    held: u64,
    lost: u64,
    full: SyncSender<Message>,
    empty: Receiver<Vec<u8>>,
}

impl Lines {
    fn write(&mut self, entry: Entry, ended: &Ended<'_>) {
        if let Some(mut aggregate) = self.aggregate.take() {
            aggregate.take(entry, ended, |start, sums| self.interval(start, sums));
            self.aggregate = Some(aggregate);
            return;
        }
        if self.share < 1.0 && self.random.f64() > self.share {
            return;
        }
        if self.buffer.capacity() - self.buffer.len() < LONGEST_LINE && !self.turn_over() {
            self.lost += 1;
            return;
        }
        let unix = self.clocks.1 + ended.at.saturating_duration_since(self.clocks.0);
        // Into memory that is there: nothing can fail.
        let _ = self.layout.line(&mut self.buffer, entry, ended, unix);
        self.held += 1;
    }

    /// Writes the line of an interval, and hands it over at once: there are few, and somebody may be
    /// waiting for them.
    fn interval(&mut self, start: Instant, sums: &Sums) {
        if self.buffer.capacity() - self.buffer.len() < LONGEST_SUM {
            self.lost += 1;
            return;
        }
        let unix = self.clocks.1 + start.saturating_duration_since(self.clocks.0);
        // Into memory that is there: nothing can fail.
        let _ = sums.line(self.layout, unix, &mut self.buffer);
        self.held += 1;
        // When every buffer waits for the disk, this one holds some more lines.
        self.turn_over();
    }

    /// Hands over what is full and takes what is empty, if there is any.
    fn turn_over(&mut self) -> bool {
        let Ok(fresh) = self.empty.try_recv() else { return false };
        let full = std::mem::replace(&mut self.buffer, fresh);
        self.full.try_send(Message::Full(full, std::mem::take(&mut self.held))).is_ok()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(aggregate) = self.aggregate.take() {
            aggregate.finish(|start, sums| self.interval(start, sums));
        }
        // There is room for every buffer and one message more, so this does not wait.
        let _ = self.full.try_send(Message::Full(std::mem::take(&mut self.buffer), self.held));
        if self.lost > 0 {
            let _ = self.full.try_send(Message::Lost(self.lost));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use pinchpoint_measure::Outcome;

    use super::*;

    fn done(response_us: u64, lag_us: u64) -> Ended<'static> {
        Ended {
            at: Instant::now(),
            response: Duration::from_micros(response_us),
            lag: Duration::from_micros(lag_us),
            label: 2,
            outcome: Some(&Outcome::Done { rows: 1 }),
        }
    }

    fn entry(number: u64) -> Entry {
        Entry { client: 0, number, retries: 0 }
    }

    #[test]
    fn every_line_is_written_and_a_share_of_them_when_that_is_asked() {
        for (share, least, most) in [(1.0, 100_000, 100_000), (0.1, 9_000, 11_000)] {
            let mut file = tempfile::tempfile().expect("a file");
            let copy = file.try_clone().expect("a copy");
            let log = TransactionLog::new(vec![copy], LogLayout::default(), share);
            let thread = log.of_thread(0, 5).expect("a thread").expect("a log");
            assert!(log.of_thread(1, 5).expect("no thread").is_none(), "there is one file");
            let ended = done(100, 0);
            for number in 0..100_000 {
                thread.write(entry(number), &ended);
                if number % 1000 == 0 {
                    // The writer has its turn, however busy the machine is.
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            drop(thread);
            let written = log.finish();
            assert!(written.error.is_none() && written.lost == 0, "{written:?}");
            assert!((least..=most).contains(&written.lines), "{written:?}");
            let mut text = String::new();
            file.seek(SeekFrom::Start(0)).expect("the start");
            file.read_to_string(&mut text).expect("text");
            assert_eq!(text.lines().count() as u64, written.lines);
            let numbers: Vec<u64> =
                text.lines().map(|l| l.split(' ').nth(1).unwrap().parse().unwrap()).collect();
            assert!(numbers.is_sorted());
        }
    }

    /// A pipe that nobody reads stands for a disk that stands still.
    #[test]
    fn a_disk_that_stands_still_costs_lines_that_are_counted_and_holds_nobody_up() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let log = TransactionLog::new(
            vec![File::from(std::os::fd::OwnedFd::from(writer))],
            LogLayout::default(),
            1.0,
        );
        let thread = log.of_thread(0, 5).expect("a thread").expect("a log");
        let (ended, all) = (done(100, 0), 200_000);
        let began = Instant::now();
        for number in 0..all {
            thread.write(entry(number), &ended);
        }
        let elapsed = began.elapsed();
        assert!(elapsed < Duration::from_secs(5), "{elapsed:?} for {all} lines");
        drop(thread);
        let mut reader = reader;
        let drain = std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        let written = log.finish();
        assert!(written.error.is_none() && written.lost > 0, "{written:?}");
        assert_eq!(written.lines + written.lost, all);
        drop(log);
        assert!(drain.join().expect("a reader").expect("read") > 1_000_000);
    }

    #[test]
    fn a_full_disk_is_told() {
        let Ok(full) = File::options().write(true).open("/dev/full") else { return };
        let log = TransactionLog::new(vec![full], LogLayout::default(), 1.0);
        let thread = log.of_thread(0, 5).expect("a thread").expect("a log");
        thread.write(entry(1), &done(1, 0));
        drop(thread);
        let written = log.finish();
        assert_eq!(written.error.map(|e| e.kind()), Some(io::ErrorKind::StorageFull));
    }
}
