use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinchpoint_measure::Cause;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::acks::Acks;
use crate::counters::{Counters, Totals};
use crate::desk::{Desk, Habits, Recorder, drive};
use crate::histograms::Histograms;
use crate::latch::Latch;
use crate::schedule::Arrivals;
use crate::turnstile::Turnstile;
use crate::{Driver, DriverError, Seat};

/// What the session asks of a load thread.
pub(crate) enum Command {
    /// Begin; a schedule counts from this instant.
    Start(Instant),
    /// Swap the histograms for these empty ones and hand over what was recorded; tell users of their
    /// operations from now on, or no longer, when that is to change.
    Rotate(Box<Histograms>, Option<bool>, oneshot::Sender<Slice>),
    /// Start nothing more, and say when all operations have ended or the grace is over.
    Settle(Duration, oneshot::Sender<Settled>),
    /// Close the users and end.
    Close,
}

/// What one thread recorded since the last rotation.
pub(crate) struct Slice {
    pub(crate) histograms: Histograms,
    pub(crate) errors: BTreeMap<Cause, u64>,
    pub(crate) backlog: u64,
    pub(crate) users: u64,
    pub(crate) totals: Totals,
    pub(crate) cpu: Duration,
    pub(crate) at: Instant,
}

/// How one thread came to rest.
pub(crate) struct Settled {
    /// Operations still under way when the grace was over.
    pub(crate) abandoned: usize,
    /// Arrivals due by the schedule when nothing more was started.
    pub(crate) due: u64,
    /// Of these, the ones that nobody had taken.
    pub(crate) not_started: u64,
    pub(crate) acks: Option<Acks>,
}

/// What a thread is made of.
pub(crate) struct Setup {
    pub(crate) seat: Seat,
    pub(crate) arrivals: Option<Arrivals>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) keep_acks: bool,
    pub(crate) habits: Habits,
    pub(crate) labels: usize,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) opened: oneshot::Sender<Result<(), DriverError>>,
}

/// How long users may take to close at the end.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The body of a load thread: a single-threaded runtime that owns its users.
pub(crate) fn run<D: Driver>(driver: &D, setup: Setup) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("a load thread could not make its runtime: {error}");
            let _ = setup.opened.send(Err(DriverError(text)));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, serve(driver, setup));
}

async fn serve<D: Driver>(driver: &D, setup: Setup) {
    let Setup { seat, arrivals, counters, keep_acks, habits, labels, mut commands, opened } = setup;
    let users = tokio::select! {
        // The session is dropped when the run is cancelled while connections are opened.
        () = closed(&mut commands) => return,
        users = driver.open(seat) => match users {
            Ok(users) => users,
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        },
    };
    let desk = Rc::new(Desk {
        go: Latch::default(),
        leave: Latch::default(),
        halt: Latch::default(),
        start: Cell::new(Instant::now()),
        habits,
        logging: Cell::new(false),
        stopping: Cell::new(false),
        working: Cell::new(0),
        operating: Cell::new(0),
        settled: Latch::default(),
        turnstile: arrivals.map(Turnstile::new),
        recorder: RefCell::new(Recorder {
            histograms: Histograms::with_labels(labels),
            counters,
            errors: BTreeMap::new(),
            acks: keep_acks.then(Acks::new),
        }),
    });
    let tasks: Vec<_> = users
        .into_iter()
        .enumerate()
        .map(|(at, user)| {
            let place = seat.thread + at * seat.threads;
            tokio::task::spawn_local(drive(user, place, desk.clone()))
        })
        .collect();
    let _ = opened.send(Ok(()));
    while let Some(command) = commands.recv().await {
        match command {
            Command::Start(at) => {
                desk.start.set(at);
                if let Some(turnstile) = &desk.turnstile {
                    turnstile.start_at(at);
                }
                desk.go.open();
            }
            Command::Rotate(empty, log, reply) => {
                desk.logging.set(log.unwrap_or(desk.logging.get()));
                let _ = reply.send(rotate(&desk, *empty));
            }
            Command::Settle(grace, reply) => {
                let _ = reply.send(settle(&desk, grace).await);
            }
            Command::Close => {
                desk.stop();
                desk.leave.open();
                let all = async {
                    for task in tasks {
                        let _ = task.await;
                    }
                };
                let _ = tokio::time::timeout(CLOSE_GRACE, all).await;
                return;
            }
        }
    }
}

/// Resolves when the session has gone. Nothing is sent before the users are open.
async fn closed(commands: &mut mpsc::UnboundedReceiver<Command>) {
    while commands.recv().await.is_some() {}
}

fn rotate(desk: &Desk, empty: Histograms) -> Slice {
    let mut recorder = desk.recorder.borrow_mut();
    let at = Instant::now();
    Slice {
        histograms: std::mem::replace(&mut recorder.histograms, empty),
        errors: std::mem::take(&mut recorder.errors),
        backlog: desk.turnstile.as_ref().map_or(0, |t| t.backlog(at)),
        users: desk.working.get() as u64,
        totals: recorder.counters.read(),
        cpu: thread_cpu(),
        at,
    }
}

async fn settle(desk: &Desk, grace: Duration) -> Settled {
    let (due, taken) = desk.turnstile.as_ref().map_or((0, 0), |t| t.due_and_taken(Instant::now()));
    desk.stop();
    if desk.working.get() > 0 {
        let _ = tokio::time::timeout(grace, desk.settled.passed()).await;
    }
    Settled {
        abandoned: desk.operating.get(),
        due,
        not_started: due.saturating_sub(taken),
        acks: desk.recorder.borrow_mut().acks.take(),
    }
}

/// CPU time that this thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0).min(999_999_999),
    )
}
