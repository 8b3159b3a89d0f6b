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
use crate::{Probe, User};

/// What the users of one thread share. It never leaves the thread, so nothing in it locks.
pub(crate) struct Desk {
    pub(crate) go: Latch,
    pub(crate) leave: Latch,
    pub(crate) stopping: Cell<bool>,
    pub(crate) working: Cell<usize>,
    pub(crate) settled: Latch,
    pub(crate) turnstile: Option<Turnstile>,
    pub(crate) recorder: RefCell<Recorder>,
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
                self.histograms.record(response, probe);
                if let Some(acks) = &mut self.acks {
                    acks.push(ended, rows);
                }
            }
            Outcome::Failed { cause, .. } => *self.errors.entry(cause).or_default() += 1,
        }
    }
}

/// The life of one virtual user.
pub(crate) async fn drive<U: User>(mut user: U, desk: Rc<Desk>) {
    desk.go.passed().await;
    work(&mut user, &desk).await;
    desk.working.set(desk.working.get() - 1);
    if desk.working.get() == 0 {
        desk.settled.open();
    }
    desk.leave.passed().await;
    user.close().await;
}

async fn work<U: User>(user: &mut U, desk: &Desk) {
    let mut probe = Probe::new();
    let mut ended = Instant::now();
    for ordinal in 0.. {
        if desk.stopping.get() {
            return;
        }
        probe.reset(ordinal);
        // In closed load an operation is meant to start when the last one has ended.
        let intended = match &desk.turnstile {
            None => ended,
            Some(turnstile) => {
                let Some(intended) = turnstile.next(&desk.stopping).await else { return };
                probe.add(Phase::Schedule, intended.elapsed());
                intended
            }
        };
        let outcome = user.operate(&mut probe).await;
        ended = Instant::now();
        let response = ended.saturating_duration_since(intended);
        desk.recorder.borrow_mut().record(response, ended, &probe, &outcome);
        if matches!(outcome, Outcome::Failed { .. }) {
            user.recover().await;
            ended = Instant::now();
        }
        // An operation that never waits must not keep the others from running.
        tokio::task::coop::consume_budget().await;
    }
}
