use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::schedule::Arrivals;
use crate::timer::Timer;

/// Hands the arrivals of a thread's schedule to its users, one at a time and in order.
///
/// Users queue at a fair mutex; the one inside sleeps until the next intended start, takes it and
/// lets the next user in. A backlog is thus never stored: it is the part of the schedule that is
/// due and not taken, however long it grows.
#[derive(Debug)]
pub(crate) struct Turnstile {
    entry: Mutex<Arrivals>,
    timer: Timer,
    start: Cell<Instant>,
    taken: Cell<u64>,
    due: RefCell<Due>,
}

/// A second reader of the same schedule, which counts what is due.
#[derive(Debug)]
struct Due {
    ahead: std::iter::Peekable<Arrivals>,
    passed: u64,
}

/// The longest sleep between two looks at whether the load is to stop.
const LOOK: Duration = Duration::from_millis(20);

impl Turnstile {
    pub(crate) fn new(arrivals: Arrivals) -> Self {
        let due = Due { ahead: arrivals.clone().peekable(), passed: 0 };
        Self {
            entry: Mutex::new(arrivals),
            timer: Timer::new(),
            start: Cell::new(Instant::now()),
            taken: Cell::new(0),
            due: RefCell::new(due),
        }
    }

    /// Sets the instant that the schedule counts from.
    pub(crate) fn start_at(&self, start: Instant) {
        self.start.set(start);
    }

    /// Waits for the next intended start, and takes it; `None` once the load stops or the schedule
    /// has ended.
    pub(crate) async fn next(&self, stopping: &Cell<bool>) -> Option<Instant> {
        let mut arrivals = self.entry.lock().await;
        if stopping.get() {
            return None;
        }
        let intended = self.start.get() + arrivals.next()?;
        loop {
            let now = Instant::now();
            if now >= intended {
                self.taken.set(self.taken.get() + 1);
                return Some(intended);
            }
            self.timer.sleep_until(intended.min(now + LOOK)).await;
            if stopping.get() {
                return None;
            }
        }
    }

    /// How many arrivals were due until `now`, by the schedule alone, and how many have been taken.
    pub(crate) fn due_and_taken(&self, now: Instant) -> (u64, u64) {
        self.backlog(now);
        (self.due.borrow().passed, self.taken.get())
    }

    /// How many arrivals are due at `now` and not taken.
    pub(crate) fn backlog(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start.get());
        let mut due = self.due.borrow_mut();
        while due.ahead.next_if(|at| *at <= elapsed).is_some() {
            due.passed += 1;
        }
        due.passed.saturating_sub(self.taken.get())
    }
}
