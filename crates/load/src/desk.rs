use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinchpoint_measure::{Cause, Outcome, Phase};

use crate::acks::Acks;
use crate::counters::Counters;
use crate::histograms::Histograms;
use crate::latch::Latch;
use crate::turnstile::Turnstile;
use crate::{Ended, Probe, User};

/// What the users of one thread share. It never leaves the thread, so nothing in it locks.
pub(crate) struct Desk {
    pub(crate) go: Latch,
    pub(crate) leave: Latch,
    /// Opens when nothing more is to be started.
    pub(crate) halt: Latch,
    /// When the load began.
    pub(crate) start: Cell<Instant>,
    pub(crate) habits: Habits,
    /// Whether users are told of their operations.
    pub(crate) logging: Cell<bool>,
    pub(crate) stopping: Cell<bool>,
    /// Users with an operation under way, or about to start one.
    pub(crate) working: Cell<usize>,
    /// Operations under way.
    pub(crate) operating: Cell<usize>,
    pub(crate) settled: Latch,
    pub(crate) turnstile: Option<Turnstile>,
    pub(crate) recorder: RefCell<Recorder>,
}

/// How users of a closed load come and rest.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Habits {
    pub(crate) spawn_per_s: Option<f64>,
    pub(crate) think: Duration,
    /// Operations of one user.
    pub(crate) at_most: Option<u64>,
    /// Response time from which an operation is late.
    pub(crate) latency_limit: Option<Duration>,
}

impl Desk {
    /// Nothing more is started; whoever sleeps wakes up.
    pub(crate) fn stop(&self) {
        self.stopping.set(true);
        self.go.open();
        self.halt.open();
    }

    /// Sleeps, unless the load is to stop; says whether to go on.
    async fn rest(&self, until: Instant) -> bool {
        tokio::select! {
            biased;
            () = self.halt.passed() => false,
            () = tokio::time::sleep_until(until.into()) => !self.stopping.get(),
        }
    }

    /// Whether an operation that was due so long ago is not worth being started any more.
    fn is_too_late(&self, lag: Duration) -> bool {
        self.turnstile.is_some() && self.habits.latency_limit.is_some_and(|limit| lag > limit)
    }

    fn record(&self, response: Duration, ended: Instant, probe: &Probe, outcome: &Outcome) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.record(response, ended, probe, outcome);
        let late = self.habits.latency_limit.is_some_and(|limit| response > limit);
        if late && matches!(outcome, Outcome::Done { .. }) {
            recorder.counters.late();
        }
    }

    fn tell<U: User>(&self, user: &mut U, ended: &Ended<'_>) {
        if self.logging.get() {
            user.note(ended);
        }
    }

    /// When the user of this place among all users begins.
    fn begins(&self, place: usize) -> Option<Instant> {
        let per_s = self.habits.spawn_per_s.filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64(place as f64 / per_s).ok().map(|after| self.start.get() + after)
    }
}

/// Where a thread records.
pub(crate) struct Recorder {
    pub(crate) histograms: Histograms,
    pub(crate) counters: Arc<Counters>,
    pub(crate) errors: BTreeMap<Cause, u64>,
    pub(crate) acks: Option<Acks>,
}

impl Recorder {
    fn record(&mut self, response: Duration, ended: Instant, probe: &Probe, outcome: &Outcome) {
        self.counters.count(outcome);
        match *outcome {
            Outcome::Done { rows } => {
                self.histograms.record(response, ended, probe);
                if let Some(acks) = &mut self.acks {
                    acks.push(ended, rows);
                }
            }
            Outcome::Failed { cause, .. } => *self.errors.entry(cause).or_default() += 1,
        }
    }
}

/// The life of one virtual user.
/// `place` is its number among the users of all threads.
pub(crate) async fn drive<U: User>(mut user: U, place: usize, desk: Rc<Desk>) {
    desk.go.passed().await;
    let goes = match desk.begins(place) {
        Some(at) if desk.turnstile.is_none() => desk.rest(at).await,
        _ => !desk.stopping.get(),
    };
    if goes {
        desk.working.set(desk.working.get() + 1);
        work(&mut user, &desk).await;
        desk.working.set(desk.working.get() - 1);
        if desk.working.get() == 0 && desk.stopping.get() {
            desk.settled.open();
        }
    }
    desk.leave.passed().await;
    user.close().await;
}

async fn work<U: User>(user: &mut U, desk: &Desk) {
    let mut probe = Probe::new();
    let mut ended = Instant::now();
    let mut answered = false;
    for ordinal in 0..desk.habits.at_most.unwrap_or(u64::MAX) {
        if desk.stopping.get() {
            return;
        }
        probe.reset(ordinal);
        let mut lag = Duration::ZERO;
        // In closed load an operation is meant to start when the last one has ended.
        let intended = match &desk.turnstile {
            None => ended,
            Some(turnstile) => {
                let Some(intended) = turnstile.next(&desk.stopping).await else { return };
                lag = intended.elapsed();
                probe.add(Phase::Schedule, lag);
                intended
            }
        };
        if desk.is_too_late(lag) {
            desk.recorder.borrow().counters.skipped();
            let (at, label) = (Instant::now(), probe.label());
            desk.tell(user, &Ended { at, response: lag, lag, label, outcome: None });
            tokio::task::coop::consume_budget().await;
            continue;
        }
        desk.operating.set(desk.operating.get() + 1);
        let outcome = user.operate(&mut probe).await;
        desk.operating.set(desk.operating.get() - 1);
        ended = Instant::now();
        let response = ended.saturating_duration_since(intended);
        desk.record(response, ended, &probe, &outcome);
        if !answered {
            answered = true;
            desk.recorder.borrow().counters.user_answered();
        }
        let label = probe.label();
        desk.tell(user, &Ended { at: ended, response, lag, label, outcome: Some(&outcome) });
        if matches!(outcome, Outcome::Failed { .. }) {
            user.recover().await;
            ended = Instant::now();
        }
        if desk.turnstile.is_none() && !desk.habits.think.is_zero() {
            if !desk.rest(ended + desk.habits.think).await {
                return;
            }
            ended = Instant::now();
        }
        // An operation that never waits must not keep the others from running.
        tokio::task::coop::consume_budget().await;
    }
}
