//! The engine, driven through a protocol that only counts: the seam that SQL and HTTP share.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pinchpoint_load::{
    Driver, DriverError, Ended, Harvest, Histograms, LoadError, LoadSpec, Probe, Process, Schedule,
    Seat, Session, User, WarmUpPolicy, warm_up,
};
use pinchpoint_measure::{Cause, Outcome, Phase};

/// An echo that answers after a delay, and fails every n-th time.
struct Echo {
    delay: Duration,
    fail_every: Option<u64>,
    done: Arc<AtomicU64>,
    closed: Arc<AtomicU64>,
    told: Arc<Told>,
}

/// What users were told of their operations.
#[derive(Default)]
struct Told {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    skipped: AtomicU64,
}

/// The limit on the response time in tests that have one.
const LIMIT: Duration = Duration::from_millis(5);

struct EchoUser {
    delay: Duration,
    fail_every: Option<u64>,
    /// Shared by the users of a thread only: not `Send`, on purpose.
    calls: Rc<Cell<u64>>,
    done: Arc<AtomicU64>,
    closed: Arc<AtomicU64>,
    told: Arc<Told>,
}

impl Driver for Echo {
    type User = EchoUser;

    async fn open(&self, seat: Seat) -> Result<Vec<EchoUser>, DriverError> {
        let calls = Rc::new(Cell::new(0));
        Ok((0..seat.users)
            .map(|_| EchoUser {
                delay: self.delay,
                fail_every: self.fail_every,
                calls: calls.clone(),
                done: self.done.clone(),
                closed: self.closed.clone(),
                told: self.told.clone(),
            })
            .collect())
    }
}

impl User for EchoUser {
    async fn operate(&mut self, probe: &mut Probe) -> Outcome {
        let mut at = std::time::Instant::now();
        self.calls.set(self.calls.get() + 1);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        probe.lap(Phase::Execute, &mut at);
        if self.fail_every.is_some_and(|n| self.calls.get().is_multiple_of(n)) {
            return Outcome::Failed { cause: Cause::Closed, rows: 2, in_doubt: true };
        }
        self.done.fetch_add(2, Ordering::Relaxed);
        Outcome::Done { rows: 2 }
    }

    async fn recover(&mut self) {}

    fn note(&mut self, ended: &Ended<'_>) {
        assert!(ended.lag <= ended.response, "{ended:?}");
        let counter = match ended.outcome {
            None => &self.told.skipped,
            Some(Outcome::Failed { .. }) => &self.told.failed,
            Some(Outcome::Done { .. }) => &self.told.acknowledged,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if matches!(ended.outcome, Some(Outcome::Done { .. })) && ended.response > LIMIT {
            self.told.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn close(self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

fn echo(delay_ms: u64, fail_every: Option<u64>) -> Arc<Echo> {
    Arc::new(Echo {
        delay: Duration::from_millis(delay_ms),
        fail_every,
        done: Arc::default(),
        closed: Arc::default(),
        told: Arc::default(),
    })
}

fn spec(users: usize, schedule: Option<Schedule>) -> LoadSpec {
    LoadSpec {
        users,
        threads: 2,
        schedule,
        seed: 1,
        spawn_per_s: None,
        think: Duration::ZERO,
        labels: 1,
        operations_per_user: None,
        latency_limit: None,
        keep_acks: true,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn every_acknowledged_row_is_counted_once_and_every_user_is_closed() {
    block_on(async {
        let driver = echo(0, Some(7));
        let mut session = Session::open(driver.clone(), &spec(5, None)).await.unwrap();
        session.start();
        let mut all = Histograms::new();
        let mut errors = 0;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let harvest = session.rotate(&mut all).await.unwrap();
            errors += harvest.errors.values().sum::<u64>();
            assert!(harvest.cpu > Duration::ZERO);
        }
        let rest = session.settle(Duration::from_secs(5)).await.unwrap();
        assert_eq!(rest.abandoned, 0);
        let harvest = session.rotate(&mut all).await.unwrap();
        errors += harvest.errors.get(&Cause::Closed).copied().unwrap_or(0);
        let totals = session.totals();
        session.close().await;
        assert!(totals.operations > 1000, "{totals:?}");
        assert_eq!(totals.rows, driver.done.load(Ordering::Relaxed));
        assert_eq!(totals.operations, all.operations());
        assert_eq!(totals.failed, errors);
        assert_eq!(totals.in_doubt_rows, 2 * totals.failed);
        assert_eq!(driver.closed.load(Ordering::Relaxed), 5);
        assert!(rest.oldest_of_last(2).is_some());
    });
}

#[test]
fn an_open_load_that_keeps_up_does_what_its_schedule_says() {
    block_on(async {
        let driver = echo(1, None);
        let schedule = Schedule::at_rate(400.0, Process::Constant);
        let mut session = Session::open(driver, &spec(20, Some(schedule))).await.unwrap();
        session.start();
        tokio::time::sleep(Duration::from_millis(500)).await;
        session.settle(Duration::from_secs(5)).await.unwrap();
        let totals = session.totals();
        session.close().await;
        // 500 ms at 400/s, give or take what a busy machine delays; never more than the schedule.
        assert!((150..=240).contains(&totals.operations), "{totals:?}");
    });
}

#[test]
fn an_overload_shows_as_backlog_and_in_the_response_time() {
    block_on(async {
        // One user, 10 ms an operation: 100/s at most, 1,000/s asked for.
        let driver = echo(10, None);
        let schedule = Schedule::at_rate(1000.0, Process::Poisson { seed: 3 });
        let mut session = Session::open(driver, &spec(1, Some(schedule))).await.unwrap();
        session.start();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut all = Histograms::new();
        let harvest = session.rotate(&mut all).await.unwrap();
        session.settle(Duration::from_secs(5)).await.unwrap();
        session.close().await;
        let served = all.operations();
        assert!(served <= 51, "{served}");
        assert!(harvest.backlog > 300, "{harvest:?}");
        // The last ones served were due long before: no coordinated omission.
        assert!(all.response_ms().max > 300.0, "{:?}", all.response_ms());
        assert!(all.phase_mean_ms(Phase::Schedule) > 100.0);
        assert!(all.statement_ms().p50 < 100.0);
    });
}

#[test]
fn a_driver_that_cannot_open_says_why() {
    struct Broken;
    impl Driver for Broken {
        type User = EchoUser;
        async fn open(&self, seat: Seat) -> Result<Vec<EchoUser>, DriverError> {
            Err(DriverError(format!("no server for thread {} of {}", seat.thread, seat.threads)))
        }
    }
    block_on(async {
        let error = Session::open(Arc::new(Broken), &spec(3, None)).await.unwrap_err();
        assert!(matches!(error, LoadError::Open(_)), "{error}");
        assert!(error.to_string().contains("no server for thread"), "{error}");
    });
}

#[test]
fn an_operation_that_hangs_is_reported_as_abandoned() {
    block_on(async {
        let driver = echo(60_000, None);
        let mut session = Session::open(driver, &spec(3, None)).await.unwrap();
        session.start();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let rest = session.settle(Duration::from_millis(50)).await.unwrap();
        assert_eq!(rest.abandoned, 3);
        session.close().await;
    });
}

#[test]
fn a_warm_up_ends_when_steady_and_is_bounded_when_not() {
    block_on(async {
        let session = Session::open(echo(1, None), &spec(4, None)).await.unwrap();
        session.start();
        let policy = WarmUpPolicy::Auto { at_most: Duration::from_secs(20), users: 0 };
        let warmed = warm_up(&session, policy, |_| true).await;
        assert!(warmed.settled, "{warmed:?}");
        assert!(warmed.duration < Duration::from_secs(20));
        session.close().await;

        // Nothing is ever done: never steady, and the bound holds.
        let session = Session::open(echo(60_000, None), &spec(1, None)).await.unwrap();
        session.start();
        let policy = WarmUpPolicy::Auto { at_most: Duration::from_millis(300), users: 0 };
        let warmed = warm_up(&session, policy, |_| true).await;
        assert!(!warmed.settled);
        assert!(warmed.duration >= Duration::from_millis(300));
    });
}

/// Whoever keeps a log is told of the operations that are counted between the two rotations, of all
/// of them and of no other; and of a schedule that is not kept up with, what is late is not started.
#[test]
fn a_log_holds_what_is_counted_and_what_is_too_late_is_skipped() {
    block_on(async {
        for rate in [None, Some(2000.0)] {
            let driver = echo(1, Some(7));
            let schedule = rate.map(|rate| Schedule::at_rate(rate, Process::Constant));
            let spec = LoadSpec { latency_limit: Some(LIMIT), ..spec(2, schedule) };
            let mut session = Session::open(driver.clone(), &spec).await.unwrap();
            session.start();
            let mut all = Histograms::new();
            tokio::time::sleep(Duration::from_millis(40)).await;
            session.keep_log(true);
            session.rotate(&mut all).await.unwrap();
            all.reset();
            let mut counted = Harvest::default();
            for last in [false, true] {
                tokio::time::sleep(Duration::from_millis(60)).await;
                session.keep_log(!last);
                counted.totals.add(&session.rotate(&mut all).await.unwrap().totals);
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
            session.settle(Duration::from_secs(5)).await.unwrap();
            session.close().await;
            let (told, counted) = (&driver.told, counted.totals);
            let pairs = [
                (&told.acknowledged, counted.operations),
                (&told.failed, counted.failed),
                (&told.late, counted.late),
                (&told.skipped, counted.skipped),
            ]
            .map(|(told_of, counted)| (told_of.load(Ordering::Relaxed), counted));
            assert!(pairs.iter().all(|(told, counted)| told == counted), "{rate:?}: {pairs:?}");
            assert!(counted.operations > 20 && counted.failed > 0, "{rate:?}: {counted:?}");
            assert_eq!(counted.operations, all.operations(), "{rate:?}");
            if rate.is_some() {
                // Two users at 1 ms each and more do less than a half of what is asked for.
                assert!(counted.skipped > 20 && counted.late > 0, "{counted:?}");
            } else {
                assert_eq!(counted.skipped, 0, "nothing is due in closed load");
            }
        }
    });
}
