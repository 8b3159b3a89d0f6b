use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pinchpoint_measure::Cause;
use tokio::sync::{mpsc, oneshot};

use crate::acks::{Acks, OldestAck, oldest_of_last};
use crate::counters::{Counters, Totals};
use crate::desk::Habits;
use crate::histograms::Histograms;
use crate::schedule::Schedule;
use crate::thread::{Command, Settled, Setup, Slice, run};
use crate::{Driver, DriverError, Seat};

/// How much load, and in which rhythm.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadSpec {
    /// Virtual users: the most operations under way at once.
    pub users: usize,
    /// Threads to spread them over; never more than users.
    pub threads: usize,
    /// Closed load without a schedule, open load with one (in operations per second).
    pub schedule: Option<Schedule>,
    /// Seed of all that the users draw.
    pub seed: u64,
    /// Users that start a second in closed load; all at once when absent.
    pub spawn_per_s: Option<f64>,
    /// Pause of a user after each operation in closed load; no part of any time that is measured.
    pub think: Duration,
    /// Operations after which a user has done its part; no end to them when absent.
    pub operations_per_user: Option<u64>,
    /// Response time above which an operation is counted as late; one of a schedule that is late by
    /// more before it is started is not started at all, and counted as skipped: pgbench's
    /// `--latency-limit`.
    pub latency_limit: Option<Duration>,
    /// Kinds of operation that are told apart; at least 1.
    pub labels: usize,
    /// Whether to remember when rows were acknowledged, for a crash after the trial.
    pub keep_acks: bool,
}

/// Why load could not be driven.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The driver could not open its users.
    #[error(transparent)]
    Open(#[from] DriverError),
    /// A load thread ended before its time.
    #[error("a load thread ended before its time; this is a fault of pinchpoint's own")]
    ThreadLost,
    /// The operating system gave no thread.
    #[error("a load thread could not be started: {0}")]
    Spawn(#[from] std::io::Error),
}

/// Load under way. Dropping it ends the load without waiting for operations under way.
#[derive(Debug)]
pub struct Session {
    threads: Vec<Thread>,
    /// Empty sets, ready to be swapped in.
    spare: Vec<Histograms>,
    last: Vec<Mark>,
    labels: usize,
    /// Whether a log is kept from the next rotation on, when that is to change.
    log: Option<bool>,
}

#[derive(Debug)]
struct Thread {
    commands: mpsc::UnboundedSender<Command>,
    counters: Arc<Counters>,
    handle: JoinHandle<()>,
}

/// Where a thread stood at the last rotation.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    cpu: Duration,
    totals: Totals,
}

/// What all threads recorded since the last rotation.
#[derive(Debug, Default)]
pub struct Harvest {
    /// Mean length of the slice over the threads.
    pub elapsed: Duration,
    /// CPU time of the load threads within it.
    pub cpu: Duration,
    /// Operations due and not begun, at its end.
    pub backlog: u64,
    /// Users that have begun and not ended, at its end.
    pub users: u64,
    /// What was counted within it.
    pub totals: Totals,
    /// Failures by cause.
    pub errors: BTreeMap<Cause, u64>,
}

/// How the load came to rest.
#[derive(Debug)]
pub struct Rest {
    /// Operations still under way when the grace was over: their outcome is not known.
    pub abandoned: usize,
    /// Operations due by the schedule until nothing more was started, warm-up included; 0 in closed
    /// load.
    pub due: u64,
    /// Of these, operations that nobody had begun.
    pub not_started: u64,
    acks: Vec<Acks>,
}

impl Rest {
    /// When the oldest of the last `rows` acknowledged rows was acknowledged; `None` when nothing
    /// was remembered or `rows` is 0.
    pub fn oldest_of_last(&self, rows: u64) -> Option<OldestAck> {
        oldest_of_last(&self.acks, rows)
    }
}

impl Session {
    /// Opens the users on their threads; nothing runs before [`Session::start`].
    pub async fn open<D: Driver>(driver: Arc<D>, spec: &LoadSpec) -> Result<Self, LoadError> {
        let users = spec.users.max(1);
        let count = spec.threads.clamp(1, users);
        let mut threads = Vec::with_capacity(count);
        let mut opened = Vec::with_capacity(count);
        for thread in 0..count {
            let (commands, inbox) = mpsc::unbounded_channel();
            let (reply, answer) = oneshot::channel();
            let counters = Arc::new(Counters::default());
            let setup = Setup {
                seat: Seat {
                    thread,
                    threads: count,
                    users: users / count + usize::from(thread < users % count),
                    all_users: users,
                    seed: spec.seed ^ (thread as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                },
                arrivals: spec.schedule.as_ref().map(|s| s.arrivals(thread, count)),
                counters: counters.clone(),
                keep_acks: spec.keep_acks,
                habits: Habits {
                    spawn_per_s: spec.spawn_per_s,
                    think: spec.think,
                    at_most: spec.operations_per_user,
                    latency_limit: spec.latency_limit,
                },
                labels: spec.labels,
                commands: inbox,
                opened: reply,
            };
            let driver = driver.clone();
            let handle = std::thread::Builder::new()
                .name(format!("load-{thread}"))
                .spawn(move || run(driver.as_ref(), setup))?;
            threads.push(Thread { commands, counters, handle });
            opened.push(answer);
        }
        for answer in opened {
            answer.await.map_err(|_| LoadError::ThreadLost)??;
        }
        let mark = Mark { at: Instant::now(), cpu: Duration::ZERO, totals: Totals::default() };
        let spare = vec![Histograms::with_labels(spec.labels); count];
        Ok(Self { threads, spare, last: vec![mark; count], labels: spec.labels, log: None })
    }

    /// Threads that drive the load.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Empty histograms that take what [`Session::rotate`] gives.
    pub fn empty(&self) -> Histograms {
        Histograms::with_labels(self.labels)
    }

    /// Lets the users begin.
    pub fn start(&self) {
        let at = Instant::now();
        for thread in &self.threads {
            let _ = thread.commands.send(Command::Start(at));
        }
    }

    /// What was done since the start. It reads counters only, and disturbs nothing.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for thread in &self.threads {
            totals.add(&thread.counters.read());
        }
        totals
    }

    /// Has every operation from the next rotation on told to its user (see [`crate::User::note`]), or
    /// no longer: what is told and what the rotations in between count are the same operations.
    pub fn keep_log(&mut self, on: bool) {
        self.log = Some(on);
    }

    /// Ends a slice of time on every thread, and adds what was recorded in it to `into`.
    pub async fn rotate(&mut self, into: &mut Histograms) -> Result<Harvest, LoadError> {
        let mut answers = Vec::with_capacity(self.threads.len());
        let log = self.log.take();
        for thread in &self.threads {
            let (reply, answer) = oneshot::channel();
            let empty = self.spare.pop().unwrap_or_else(|| Histograms::with_labels(self.labels));
            thread
                .commands
                .send(Command::Rotate(Box::new(empty), log, reply))
                .map_err(|_| LoadError::ThreadLost)?;
            answers.push(answer);
        }
        let mut harvest = Harvest::default();
        let mut elapsed = Duration::ZERO;
        for (last, answer) in self.last.iter_mut().zip(answers) {
            let slice: Slice = answer.await.map_err(|_| LoadError::ThreadLost)?;
            elapsed += slice.at.saturating_duration_since(last.at);
            harvest.cpu += slice.cpu.saturating_sub(last.cpu);
            harvest.backlog += slice.backlog;
            harvest.users += slice.users;
            harvest.totals.add(&slice.totals.since(&last.totals));
            *last = Mark { at: slice.at, cpu: slice.cpu, totals: slice.totals };
            for (cause, count) in slice.errors {
                *harvest.errors.entry(cause).or_default() += count;
            }
            into.add(&slice.histograms);
            let mut emptied = slice.histograms;
            emptied.reset();
            self.spare.push(emptied);
        }
        harvest.elapsed = elapsed / u32::try_from(self.threads.len()).unwrap_or(1).max(1);
        Ok(harvest)
    }

    /// Starts no more operations, and waits for those under way, for `grace` at most.
    pub async fn settle(&mut self, grace: Duration) -> Result<Rest, LoadError> {
        let mut answers = Vec::with_capacity(self.threads.len());
        for thread in &self.threads {
            let (reply, answer) = oneshot::channel();
            thread
                .commands
                .send(Command::Settle(grace, reply))
                .map_err(|_| LoadError::ThreadLost)?;
            answers.push(answer);
        }
        let mut rest = Rest { abandoned: 0, due: 0, not_started: 0, acks: Vec::new() };
        for answer in answers {
            let settled: Settled = answer.await.map_err(|_| LoadError::ThreadLost)?;
            rest.abandoned += settled.abandoned;
            rest.due += settled.due;
            rest.not_started += settled.not_started;
            rest.acks.extend(settled.acks);
        }
        Ok(rest)
    }

    /// Closes the users and ends the threads. A thread whose users do not close in time is left.
    pub async fn close(self) {
        for thread in &self.threads {
            let _ = thread.commands.send(Command::Close);
        }
        for thread in self.threads {
            let handle = thread.handle;
            // Joined off the runtime's thread: users may still exchange messages while they close.
            let _ = tokio::task::spawn_blocking(move || handle.join()).await;
        }
    }
}
