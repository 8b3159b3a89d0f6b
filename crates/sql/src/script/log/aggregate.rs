//! Lines of intervals instead of transactions: pgbench's `--aggregate-interval`.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pinchpoint_load::Ended;
use pinchpoint_measure::{Cause, Outcome};

use super::line::whole_us;
use super::{Entry, LogLayout};

/// The time that a log is of, the same for all load threads.
#[derive(Debug, Default)]
pub(super) struct Span {
    pub(super) begun: OnceLock<Instant>,
    pub(super) ended: OnceLock<Instant>,
}

/// What one load thread sums up.
#[derive(Debug)]
pub(super) struct Aggregate {
    length: Duration,
    span: Arc<Span>,
    /// Where the interval under way begins, once that is known.
    start: Option<Instant>,
    now: Sums,
    /// The interval before it, whole and not yet written: a mere rest at the end is added to it.
    before: Option<(Instant, Sums)>,
}

/// The sums of an interval.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    done: u64,
    latency: Moments,
    lag: Moments,
    skipped: u64,
    retried: u64,
    retries: u64,
    serialization: u64,
    deadlock: u64,
}

/// Sum, sum of squares, least and greatest of times in microseconds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moments {
    count: u64,
    sum: u128,
    squares: u128,
    least: u128,
    greatest: u128,
}

/// A rest that is shorter than this part of an interval has no line of its own.
const MERE_REST: u32 = 10;

impl Aggregate {
    pub(super) fn new(length: Duration, span: Arc<Span>) -> Self {
        Self { length, span, start: None, now: Sums::default(), before: None }
    }

    /// Counts a transaction; `write` gets the intervals that are over, empty ones too.
    pub(super) fn take(
        &mut self,
        entry: Entry,
        ended: &Ended<'_>,
        write: impl FnMut(Instant, &Sums),
    ) {
        let start = self.start.or_else(|| self.span.begun.get().copied()).unwrap_or(ended.at);
        self.advance(start, ended.at, write);
        self.now.count(entry, ended);
    }

    /// Goes on to the interval that `at` is in, from the one that begins at `start`.
    fn advance(&mut self, mut start: Instant, at: Instant, mut write: impl FnMut(Instant, &Sums)) {
        while start + self.length <= at {
            let whole = (start, std::mem::take(&mut self.now));
            if let Some((start, sums)) = self.before.replace(whole) {
                write(start, &sums);
            }
            start += self.length;
        }
        self.start = Some(start);
    }

    /// Writes what is left.
    pub(super) fn finish(mut self, mut write: impl FnMut(Instant, &Sums)) {
        let Some(start) = self.start.or_else(|| self.span.begun.get().copied()) else { return };
        let end = self.span.ended.get().copied();
        self.advance(start, end.unwrap_or(start), &mut write);
        let start = self.start.unwrap_or(start);
        let rest = end.map_or(Duration::ZERO, |end| end.saturating_duration_since(start));
        let mut before = self.before.take();
        let has_line = match &mut before {
            Some((_, sums)) if rest < self.length / MERE_REST => {
                sums.add(&self.now);
                false
            }
            _ => rest > Duration::ZERO || self.now != Sums::default(),
        };
        if let Some((start, sums)) = before {
            write(start, &sums);
        }
        if has_line {
            write(start, &self.now);
        }
    }
}

impl Sums {
    fn count(&mut self, entry: Entry, ended: &Ended<'_>) {
        if ended.outcome.is_some() && entry.retries > 0 {
            self.retried += 1;
            self.retries += u64::from(entry.retries);
        }
        match ended.outcome {
            None => self.skipped += 1,
            Some(Outcome::Done { .. }) => {
                self.done += 1;
                self.latency.count(whole_us(ended.response));
                self.lag.count(whole_us(ended.lag));
            }
            Some(Outcome::Failed { cause: Cause::SqlState(state), .. }) => match state {
                b"40001" => self.serialization += 1,
                b"40P01" => self.deadlock += 1,
                // pgbench has no field for them: its client is stopped.
                _ => (),
            },
            Some(Outcome::Failed { .. }) => (),
        }
    }

    fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.latency.add(&other.latency);
        self.lag.add(&other.lag);
        self.skipped += other.skipped;
        self.retried += other.retried;
        self.retries += other.retries;
        self.serialization += other.serialization;
        self.deadlock += other.deadlock;
    }

    /// `interval_start num_transactions sum_latency sum_latency_2 min_latency max_latency sum_lag
    /// sum_lag_2 min_lag max_lag skipped retried retries serialization_failures deadlock_failures`.
    pub(super) fn line(
        &self,
        layout: LogLayout,
        unix: Duration,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        write!(out, "{} {} ", unix.as_secs(), self.done)?;
        self.latency.fields(out)?;
        // Each is zero unless an option asks for it.
        let none = Moments::default();
        if layout.lag { &self.lag } else { &none }.fields(out)?;
        let retries = if layout.retries { (self.retried, self.retries) } else { (0, 0) };
        let failures = if layout.failures { (self.serialization, self.deadlock) } else { (0, 0) };
        let (skipped, retried) = (self.skipped, retries.0);
        writeln!(out, "{skipped} {retried} {} {} {}", retries.1, failures.0, failures.1)
    }
}

impl Moments {
    const fn count(&mut self, us: u128) {
        self.add(&Self { count: 1, sum: us, squares: us * us, least: us, greatest: us });
    }

    const fn add(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 || other.least < self.least {
            self.least = other.least;
        }
        if other.greatest > self.greatest {
            self.greatest = other.greatest;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// The four fields, each with a space behind it.
    fn fields(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "{} {} {} {} ", self.sum, self.squares, self.least, self.greatest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(2);
    const DONE: Outcome = Outcome::Done { rows: 1 };

    /// A run that begins at a moment: transactions so many milliseconds after it, and its end.
    fn lines(
        layout: LogLayout,
        entries: &[(u64, Option<&Outcome>, u32)],
        end_ms: u64,
    ) -> Vec<String> {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let span = Arc::new(Span::default());
        span.begun.set(begun).expect("once");
        let mut aggregate = Aggregate::new(LENGTH, span.clone());
        let mut out = Vec::new();
        let mut write = |start: Instant, sums: &Sums| {
            let unix = Duration::new(1_700_000_000, 900_000_000) + (start - begun);
            sums.line(layout, unix, &mut out).expect("written");
        };
        for (ms, outcome, retries) in entries {
            let ended = Ended {
                at: at(*ms),
                response: Duration::from_micros(*ms),
                lag: Duration::from_micros(3),
                label: 0,
                outcome: *outcome,
            };
            aggregate.take(Entry { client: 0, number: 1, retries: *retries }, &ended, &mut write);
        }
        span.ended.set(at(end_ms)).expect("once");
        aggregate.finish(&mut write);
        String::from_utf8(out).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn fields_are_pgbenchs_and_in_its_order() {
        let failed = |state: &[u8; 5]| Outcome::Failed {
            cause: Cause::SqlState(*state),
            rows: 1,
            in_doubt: false,
        };
        let (raced, dead, other) = (failed(b"40001"), failed(b"40P01"), failed(b"23505"));
        let entries = [
            (100, Some(&DONE), 0),
            (400, Some(&DONE), 2),
            (500, Some(&raced), 4),
            (600, Some(&dead), 0),
            (650, Some(&other), 0),
            (700, None, 4),
        ];
        let all = LogLayout { lag: true, retries: true, failures: true, interval: None };
        assert_eq!(
            lines(all, &entries, 2000),
            ["1700000000 2 500 170000 100 400 6 18 3 3 1 2 6 1 1"]
        );
        assert_eq!(
            lines(LogLayout::default(), &entries, 2000),
            ["1700000000 2 500 170000 100 400 0 0 0 0 1 0 0 0 0"]
        );
    }

    #[test]
    fn every_interval_has_a_line_and_a_mere_rest_has_none() {
        let done = Some(&DONE);
        let counts = |entries: &[(u64, Option<&Outcome>, u32)], end_ms| {
            lines(LogLayout::default(), entries, end_ms)
                .iter()
                .map(|line| {
                    let mut words = line.split(' ').map(|w| w.parse::<u64>().expect("a number"));
                    let start = words.next().expect("a start") - 1_700_000_000;
                    (start, words.next().expect("a count"))
                })
                .collect::<Vec<_>>()
        };
        // A moment on the border belongs to what begins there; nothing came from 4 s to 8 s.
        let entries = [(1999, done, 0), (2000, done, 0), (8100, done, 0)];
        assert_eq!(counts(&entries, 10_000), [(0, 1), (2, 1), (4, 0), (6, 0), (8, 1)]);
        // What comes in the first tenth of an interval that ends there is added to the one before.
        let rest = [(100, done, 0), (2100, done, 0), (4005, done, 0)];
        assert_eq!(counts(&rest, 4010), [(0, 1), (2, 2)]);
        assert_eq!(counts(&rest, 4500), [(0, 1), (2, 1), (4, 1)]);
        // Shorter than an interval, or without a transaction.
        assert_eq!(counts(&[(5, done, 0)], 10), [(0, 1)]);
        assert_eq!(counts(&[], 4000), [(0, 0), (2, 0)]);
    }
}
