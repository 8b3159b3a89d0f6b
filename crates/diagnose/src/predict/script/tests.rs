use pinchpoint_measure::{
    HostFigures, ProcessFigures, SessionSamples, SqlProtocol, WaitClass, WaitFigures,
};
use serde_json::json;

use super::taken::{FROM_IDLE, ROUGHLY, serial_use};
use super::*;
use crate::sample::Sample;
use crate::synthetic::{Network, Random, solve, throughput};

const TWO: Machine = Machine { cpus: 2, fsync_us: Some(300.0) };

/// What 8 clients were seen doing: 0.2 ms of the server's CPU for a transaction, and so many of them
/// waiting on average.
fn observed(transactions_per_s: f64, waits: &[(WaitClass, f64)]) -> Observation {
    let wait = |(class, sessions): &(WaitClass, f64)| WaitFigures {
        class: *class,
        event: class.name().to_owned(),
        sessions: *sessions,
        error: None,
    };
    Observation {
        seconds: 10.0,
        processes: vec![ProcessFigures {
            name: "postgres".to_owned(),
            cpu_s: Some(transactions_per_s * 10.0 * 0.2e-3),
            ..ProcessFigures::default()
        }],
        sessions: Some(SessionSamples {
            looks: 100,
            active: 6.0,
            waits: waits.iter().map(wait).collect(),
            ..SessionSamples::default()
        }),
        ..Observation::default()
    }
}

/// 8 clients with a connection each, 2,000 transactions/s of 4 ms; the load takes 0.1 ms of CPU.
fn given(users: u32, waits: &[(WaitClass, f64)]) -> Variant {
    let rows_per_s = f64::from(users) * 250.0;
    let phases = vec![(Phase::Execute, 2.0), (Phase::Commit, 2.0)];
    let sample =
        Sample { name: "sql", connection: "own", users, rows_per_s, phases, ..Sample::rung_2() };
    let mut variant = Sample { client_us_per_op: 100.0, cpu: 30.0, ..sample }.variant();
    variant.factors.remove("pool");
    for trial in &mut variant.trials {
        trial.factors.remove("pool");
        trial.observation = Some(observed(rows_per_s, waits));
    }
    variant
}

/// Three clients tried it for a second.
fn tried(transactions: u64, waits: &[(WaitClass, f64)]) -> ScriptSounding {
    let mut observation = observed(transactions as f64, waits);
    observation.seconds = 1.0;
    observation.processes[0].cpu_s = Some(transactions as f64 * 0.2e-3);
    ScriptSounding { clients: 3, seconds: 1.0, transactions, load_ms: 0.1, observation }
}

fn step(lever: SqlLever, at_once: u32, sounding: Option<&ScriptSounding>) -> ScriptStep<'_> {
    ScriptStep { lever, at_once, threads: 2, sounding }
}

fn expect(from: &Variant, step: &ScriptStep<'_>) -> Result<Prediction, Unpredicted> {
    predict_script(from, step, &TWO, &Experience::default())
}

const OFF: SqlLever = SqlLever::SynchronousCommit(false);
const PREPARED: SqlLever = SqlLever::Protocol(SqlProtocol::Prepared);

/// Nothing is locked and 30 % of the CPU is in use: twice the clients get up to twice as much.
#[test]
fn more_clients_get_more_until_something_is_full() {
    let from = given(8, &[(WaitClass::WalFlush, 5.0)]);
    let sixteen = expect(&from, &step(SqlLever::Clients(16), 16, None)).unwrap();
    let [lo, hi] = sixteen.range_per_s;
    assert!(2_500.0 < lo && lo < 4_000.0 && 4_000.0 < hi && hi < 5_200.0, "{sixteen:?}");
    assert_eq!((sixteen.from.as_str(), sixteen.lever.as_str()), ("sql", "concurrency"));
    assert_eq!(sixteen.limit.as_deref(), Some("wal-flush"), "5 of 8 waited for it");
    // A pool of 4 lets in fewer than there are.
    let pool = expect(&from, &step(SqlLever::Pool(4), 4, None)).unwrap();
    assert!(pool.range_per_s[1] < 2_000.0, "{pool:?}");
    assert_eq!(pool.limit.as_deref(), Some("pool-wait"));
    // 0.3 ms of two cores: 6,667/s, whatever the clients; with FROM_IDLE half of the CPU.
    let many = expect(&from, &step(SqlLever::Clients(2_000), 2_000, None)).unwrap();
    assert!(many.range_per_s[1] < 6_667.0 / FROM_IDLE[0] * 1.1, "{many:?}");
    assert_eq!(many.limit.as_deref(), Some("machine-cpu"));
}

/// Who else used the machine may go on to: what is promised is what is left then, and no less than
/// what was had beside them.
#[test]
fn strangers_lower_what_is_promised_and_nothing_else() {
    let clients = step(SqlLever::Clients(64), 64, None);
    let beside = |cpus: f64| {
        let mut from = given(8, &[]);
        for observation in from.trials.iter_mut().filter_map(|t| t.observation.as_mut()) {
            let foreign_cpu_s = Some(cpus * observation.seconds);
            observation.host = Some(HostFigures { foreign_cpu_s, ..HostFigures::default() });
        }
        expect(&from, &clients).unwrap().range_per_s
    };
    let [alone, one, crowd] = [0.0, 1.0, 1.9].map(beside);
    assert!(one[0] < 0.75 * alone[0] && one[0] > 2_000.0, "{alone:?} {one:?}");
    assert!(crowd[0] < one[0] && crowd[0] > 2_000.0 / 1.6, "{one:?} {crowd:?}");
    assert!((alone[1] - crowd[1]).abs() < 1.0, "they may go: {alone:?} {crowd:?}");
}

/// Seven of eight wait for one row: nothing goes on beside its holder, so more clients may get
/// nothing more, and that they will is not promised.
#[test]
fn a_queue_for_a_row_bounds_what_is_promised() {
    let free = expect(&given(8, &[]), &step(SqlLever::Clients(16), 16, None)).unwrap();
    let locked = given(8, &[(WaitClass::RowLock, 7.0)]);
    let locked = expect(&locked, &step(SqlLever::Clients(16), 16, None)).unwrap();
    assert!(locked.range_per_s[0] < 2_000.0 && free.range_per_s[0] > 2_500.0, "{locked:?}");
    // Seven rows' worth of queue in one: 16 ÷ (1 + 15) against 8 ÷ (1 + 7).
    assert!(locked.range_per_s[1] < 2_000.0 * 1.2, "{locked:?}");
    assert!(locked.basis.contains("7.0 waited for what another had locked"), "{locked:?}");
}

#[test]
fn how_long_a_lock_is_held_is_told_by_how_many_wait() {
    assert!((serial_use(3.0, 4.0) - 1.0).abs() < 1e-9, "all the others wait");
    assert!(serial_use(0.0, 4.0).abs() < 1e-12 && serial_use(1.0, 1.0).abs() < 1e-12);
    assert!(serial_use(f64::NAN, 4.0).abs() < 1e-12);
    // Of networks that are solved exactly: the share of the time in which the first station works.
    let mut random = Random::new(31);
    for _ in 0..2_000 {
        let network = Network::any(&mut random);
        let users = random.users().max(2);
        let (x, times) = solve(&network, users);
        let (used, waiting) = (x * network.stations[0], x * (times[0] - network.stations[0]));
        let told = serial_use(waiting, f64::from(users));
        assert!(used <= told * ROUGHLY, "{network:?} {users}: {told} {used}");
        assert!(told <= used + 0.06, "{network:?} {users}: {told} {used}");
    }
}

/// Networks of a server, rows that are locked and a delay, solved exactly: from what is seen of them,
/// what comes with other clients lies in the range.
#[test]
fn exact_systems_with_a_lock_are_predicted() {
    let (mut random, one) = (Random::new(32), Machine { cpus: 1, fsync_us: None });
    for _ in 0..3_000 {
        let (rows, hold) = ([1_u32, 2, 5, 20][random.below(4) as usize], random.time());
        let mut stations = vec![hold / f64::from(rows); rows as usize];
        stations.push(random.time());
        let network = Network { stations, delay: random.time() };
        let (users, others) = (random.users().max(2), random.users());
        let (x, times) = solve(&network, users);
        let load = Taken {
            users: f64::from(users),
            per_s: x * 1000.0,
            server_ms: network.stations[rows as usize],
            cpus: Some(1.0),
            load_ms: 0.0,
            queued: x * (times[..rows as usize].iter().sum::<f64>() - hold),
            flush_ms: 0.0,
            strangers: 0.0,
        };
        let step = step(SqlLever::Clients(others), others, None);
        let (range, _) = load.at(&step, [1.0, 1.0], &one).unwrap();
        let truth = throughput(&network, others) * 1000.0;
        // What is told of the lock is an approximation; no range is widened by less than this.
        let widened = range.times(1.0 / Experience::PRIOR, Experience::PRIOR);
        let within = widened.lo <= truth && truth <= widened.hi;
        assert!(within, "{network:?} {users} → {others}: {range:?} {truth}");
    }
}

/// Three clients reach 4,500/s with the lever: eight get more, and no less than they had.
#[test]
fn what_few_clients_tried_is_carried_on_to_all() {
    let from = given(8, &[(WaitClass::WalFlush, 5.0)]);
    let found = tried(4_500, &[]);
    let prediction = expect(&from, &step(OFF, 8, Some(&found))).unwrap();
    let [lo, hi] = prediction.range_per_s;
    assert!(lo > 3_500.0 && 4_500.0 < hi && hi < 6_667.0 / ALL[0] * 1.1, "{prediction:?}");
    assert!(prediction.basis.starts_with("tried for 1.0 s before, 3 at a time"), "{prediction:?}");
    assert_eq!(prediction.lever, "synchronous_commit");
    // Seven of eight waited for a row, in the sounding two of three: little may be gained, nothing lost.
    let from = given(8, &[(WaitClass::RowLock, 7.0)]);
    let found = tried(2_000, &[(WaitClass::RowLock, 2.0)]);
    let off = expect(&from, &step(OFF, 8, Some(&found))).unwrap();
    let prepared = expect(&from, &step(PREPARED, 8, Some(&found))).unwrap();
    assert!(off.range_per_s[0] > 1_800.0, "{off:?}");
    assert!(prepared.range_per_s[0] < 1_800.0, "prepared plans may be worse: {prepared:?}");
}

/// One transaction of 4 ms at a time, 2 ms of it a flush that was seen for 2 ms: at most 4 − 0.9 × 2 ms
/// are left, times 1.2, and at least half of 2 ms.
#[test]
fn one_client_is_predicted_from_its_own_time() {
    let one = given(1, &[(WaitClass::WalFlush, 0.5)]);
    let prediction = expect(&one, &step(OFF, 1, None)).unwrap();
    let [lo, hi] = prediction.range_per_s.map(f64::round);
    let error = sampling_error(&one) * Experience::PRIOR;
    assert_eq!((lo, hi), ((378.8 / error).round(), (1_000.0 * error).round()), "{prediction:?}");
    assert_eq!(prediction.limit.as_deref(), Some("serial-round-trips"));
    let quiet = given(1, &[]);
    assert_eq!(expect(&quiet, &step(OFF, 1, None)), Err(Unpredicted::NothingFlushed));
    for lever in [PREPARED, SqlLever::Connected] {
        assert_eq!(expect(&one, &step(lever, 1, None)), Err(Unpredicted::OneClient));
    }
    // Connections are opened as often with more clients, which is no other transaction.
    let mut fresh = one;
    fresh.factors.insert("connection".to_owned(), json!("per-operation"));
    assert!(expect(&fresh, &step(SqlLever::Clients(2), 2, None)).is_ok());
    assert_eq!(
        expect(&fresh, &step(SqlLever::Pool(1), 1, None)),
        Err(Unpredicted::OneClient),
        "a pool's connections are kept"
    );
}

#[test]
fn who_should_try_what() {
    let from = given(8, &[]);
    assert_eq!(clients_to_try(&from, OFF, 8), Some(3));
    assert_eq!(clients_to_try(&from, PREPARED, 2), Some(1));
    assert_eq!(clients_to_try(&from, PREPARED, 1), None, "no fewer could");
    assert_eq!(clients_to_try(&from, SqlLever::Clients(64), 64), None, "it is known");
    assert_eq!(clients_to_try(&from, SqlLever::Pool(4), 4), None);
    let mut fresh = from.clone();
    fresh.factors.insert("connection".to_owned(), json!("per-operation"));
    assert_eq!(clients_to_try(&fresh, SqlLever::Pool(4), 4), Some(2));
    assert_eq!(clients_to_try(&fresh, SqlLever::Connected, 8), Some(3));
    let mut failed = from.clone();
    failed.summary = None;
    assert_eq!(clients_to_try(&failed, OFF, 8), None);
}

#[test]
fn why_nothing_is_said_is_said() {
    let from = given(8, &[]);
    let found = tried(4_500, &[]);
    let few = tried(12, &[]);
    let blind = ScriptSounding { observation: Observation::default(), ..found.clone() };
    for (step, why) in [
        (step(PREPARED, 3, Some(&found)), Unpredicted::AllTried),
        (step(PREPARED, 8, Some(&few)), Unpredicted::TooFew(12)),
        (step(PREPARED, 8, Some(&blind)), Unpredicted::ServerUnseen),
        (step(PREPARED, 8, None), Unpredicted::NotMeasured),
        (step(SqlLever::SynchronousCommit(true), 8, Some(&found)), Unpredicted::NothingDiffers),
    ] {
        assert_eq!(expect(&from, &step), Err(why), "{step:?}");
    }
    let mut unseen = from.clone();
    unseen.trials.iter_mut().for_each(|t| t.observation = None);
    let sixteen = step(SqlLever::Clients(16), 16, None);
    assert_eq!(expect(&unseen, &sixteen), Err(Unpredicted::ServerUnseen));
    let mut paced = from.clone();
    for trial in &mut paced.trials {
        trial.pace = Pace::Open { target_per_s: 100.0, poisson: true };
    }
    assert_eq!(expect(&paced, &sixteen), Err(Unpredicted::Schedule));
    assert_eq!(clients_to_try(&paced, PREPARED, 8), None, "so nobody tries either");
    let mut failed = from;
    failed.summary = None;
    assert_eq!(expect(&failed, &sixteen), Err(Unpredicted::NoFigures));
}
