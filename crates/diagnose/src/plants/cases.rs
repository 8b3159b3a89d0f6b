use pinchpoint_measure::{
    Counter, Phase, PoolerFigures, ProcessFigures, SessionFigures, StatementFigures, WaitClass,
};
use serde_json::json;

use super::{Plant, SECONDS, waits};

pub(super) fn process(name: &str, cpus: f64, used: f64, held_back: f64) -> ProcessFigures {
    ProcessFigures {
        name: name.to_owned(),
        cpu_s: Some(used * SECONDS),
        cpus: Some(cpus),
        throttled_share: Some(held_back),
        ..ProcessFigures::default()
    }
}

/// A name, what is planted, and what must be named.
pub(super) type Case = (&'static str, Plant, &'static str);

/// The plants, each beside a neighbour that looks like it and is not.
pub(crate) fn cases() -> Vec<Case> {
    let quiet = Plant::quiet;
    let mut cases = vec![
        ("nothing", quiet(), "balanced"),
        ("few users", Plant { cpu: 0.4, ..quiet() }, "users"),
    ];
    cases.extend(waits::waits());
    cases.extend(processor());
    cases.extend(connections());
    cases.extend(work());
    cases.extend(upkeep());
    cases.extend(memory());
    cases.extend(applications());
    cases.extend(super::pooled::pooled());
    cases
}

fn processor() -> Vec<Case> {
    let throttled = |class, event| Plant {
        change: |_, _, stack| stack.processes.push(process("postgres", 0.5, 0.49, 0.95)),
        cpu: 0.4,
        ..Plant::waiting(class, event, 1.0)
    };
    let mut many = Plant { cpu: 0.99, backends: Some((0.1, 4.0)), users: 200, ..Plant::quiet() };
    many.phases = vec![(Phase::Execute, 5.0)];
    many.waits = vec![(WaitClass::Running, "running", 4.8)];
    // Where every session waits for a CPU, so does who looks at them; and who is woken is still called idle.
    let mut unseen = many.clone();
    unseen.change = |_, observation, _| {
        let Some(sessions) = observation.sessions.as_mut() else { return };
        (sessions.looks, sessions.active) = (2, 3.0);
    };
    let mut called_idle = many.clone();
    called_idle.change = |_, observation, _| {
        let Some(sessions) = observation.sessions.as_mut() else { return };
        sessions.active = 3.0;
        sessions.waits.clear();
        observation.counters.remove(&Counter::ActiveMs);
    };
    let mut fewer = many.clone();
    (fewer.users, fewer.cpu) = (32, 0.99);
    let elsewhere = Plant { backends: None, cpu: 0.97, ..Plant::quiet() };
    let sorting = |bytes| Plant {
        cpu: 0.97,
        counters: vec![
            (Counter::TempBytes, bytes),
            (Counter::BlocksHit, 200.0),
            (Counter::BlocksRead, 0.0),
        ],
        ..Plant::quiet()
    };
    vec![
        ("a full machine that is not the server's", elsewhere, "balanced"),
        ("client", Plant { client_share: 0.95, ..Plant::quiet() }, "client-cpu"),
        ("CPU", Plant { cpu: 0.97, ..Plant::quiet() }, "server-cpu"),
        ("sorts in the page cache", sorting(1.2e6), "temp-files"),
        ("a small sort beside what computes", sorting(100_000.0), "server-cpu"),
        ("quota", throttled(WaitClass::Running, "running"), "cpu-throttling"),
        (
            "quota that looks like a lock",
            throttled(WaitClass::LwLock, "LWLock:x"),
            "cpu-throttling",
        ),
        ("quota that looks like a row", throttled(WaitClass::RowLock, "Lock:x"), "cpu-throttling"),
        ("too many sessions", many, "too-many-backends"),
        ("too many sessions, hardly looked at", unseen, "too-many-backends"),
        ("too many sessions, of which most are called idle", called_idle, "too-many-backends"),
        ("many sessions", fewer, "server-cpu"),
    ]
}

fn connections() -> Vec<Case> {
    let mut fresh = Plant { cpu: 0.6, ..Plant::quiet() };
    fresh.phases.push((Phase::Auth, 3.0));
    fresh.counters = vec![(Counter::Sessions, 1.0)];
    let mut pool = Plant { cpu: 0.3, users: 50, ..Plant::quiet() };
    pool.phases.push((Phase::Checkout, 6.0));
    pool.factors = vec![("pool", json!(2))];
    let mut locked = pool.clone();
    locked.phases.push((Phase::Execute, 3.0));
    locked.waits.push((WaitClass::RowLock, "Lock:tuple", 3.0));
    let mut held = pool.clone();
    held.phases.push((Phase::Execute, 4.0));
    held.held = 4.0;
    let mut distant = Plant { cpu: 0.1, ..Plant::quiet() };
    distant.phases.push((Phase::Execute, 5.0));
    distant.change = |_, observation, _| observation.round_trip_ms = Some(5.0);
    let mut near = distant.clone();
    near.change = |_, _, _| ();
    let mut wide = near.clone();
    wide.change = |_, observation, _| {
        observation.statements = vec![StatementFigures {
            calls: 100.0,
            calls_per_op: Some(1.0),
            ..StatementFigures::default()
        }];
    };
    let one = Plant { users: 1, cpu: 0.2, ..Plant::quiet() };
    vec![
        ("a connection each time", fresh, "connection-setup"),
        ("small pool", pool, "pool-wait"),
        ("pool behind a lock", locked, "row-lock"),
        ("pool held", held, "idle-in-transaction"),
        ("network", distant, "serial-round-trips"),
        ("no network", near, "users"),
        ("wide rows that fit into buffers", wide, "network"),
        ("one at a time", one, "serial-round-trips"),
    ]
}

fn work() -> Vec<Case> {
    let mut scan = Plant { cpu: 0.97, ..Plant::quiet() };
    scan.counters = vec![(Counter::SequentialRows, 100_000.0), (Counter::RowsUpdated, 1.0)];
    let mut few = scan.clone();
    few.counters[0].1 = 10.0;
    let mut plans = Plant { cpu: 0.97, ..Plant::quiet() };
    plans.change = |_, observation, _| {
        // The second is prepared, and so it is not planned.
        let statement = |query: &str, calls, execute_ms, plan_ms| StatementFigures {
            query: query.to_owned(),
            calls,
            execute_ms,
            plan_ms,
            ..StatementFigures::default()
        };
        let planned = statement("SELECT 1", 1000.0, 100.0, Some(300.0));
        let prepared = statement("SELECT 2", 10.0, 1.0, None);
        observation.statements = vec![planned, prepared];
    };
    let mut repeated = Plant { cpu: 0.3, ..Plant::quiet() };
    repeated.phases.push((Phase::Execute, 4.0));
    repeated.change = |_, observation, _| {
        observation.statements = vec![StatementFigures {
            query: "SELECT name FROM users WHERE id = $1".to_owned(),
            calls: 20_000.0,
            calls_per_op: Some(20.0),
            execute_ms: 200.0,
            rows: 20_000.0,
            ..StatementFigures::default()
        }];
    };
    vec![
        ("no index", scan, "missing-index"),
        ("small tables read whole", few, "server-cpu"),
        ("planning", plans, "planning"),
        ("N+1", repeated, "n-plus-one"),
    ]
}

fn upkeep() -> Vec<Case> {
    let mut storm = Plant::waiting(WaitClass::WalFlush, "IO:WALSync", 1.0);
    storm.counters =
        vec![(Counter::WalBytes, 9000.0), (Counter::WalFullPages, 1.0), (Counter::WalRecords, 3.0)];
    storm.change = |_, observation, _| {
        observation.counters.insert(Counter::CheckpointsRequested, 5.0);
        observation.counters.insert(Counter::CheckpointsTimed, 0.0);
    };
    let mut rare = storm.clone();
    rare.change = |_, observation, _| {
        observation.counters.insert(Counter::CheckpointsRequested, 0.0);
    };
    let mut vacuum = Plant::waiting(WaitClass::DataRead, "IO:DataFileRead", 1.0);
    vacuum.change = |_, observation, _| {
        observation.sessions.as_mut().expect("sessions").autovacuum_workers = 2.0;
        observation.counters.insert(Counter::Vacuums, 8.0);
    };
    let mut computing = Plant { cpu: 0.97, users: 2, ..Plant::quiet() };
    computing.change = |_, observation, _| {
        observation.sessions.as_mut().expect("sessions").autovacuum_workers = 3.0;
        observation.counters.insert(Counter::Vacuums, 8.0);
    };
    let mut beside = Plant { users: 16, ..computing.clone() };
    beside.change = |_, observation, _| {
        observation.sessions.as_mut().expect("sessions").autovacuum_workers = 0.8;
    };
    let mut bloat = Plant { cpu: 0.97, ..Plant::quiet() };
    bloat.counters = vec![
        (Counter::RowsUpdated, 1.0),
        (Counter::DeadRows, 0.9),
        (Counter::BlocksHit, 400.0),
        (Counter::RowsFetched, 1.0),
    ];
    vec![
        ("checkpoints", storm, "checkpoints"),
        ("no checkpoints", rare, "wal-flush"),
        ("vacuum", vacuum, "autovacuum"),
        ("vacuum of many that compute", computing, "autovacuum"),
        ("a vacuum beside many that compute", beside, "server-cpu"),
        ("bloat", bloat, "bloat"),
    ]
}

fn memory() -> Vec<Case> {
    let mut memory = Plant { cpu: 0.3, ..Plant::quiet() };
    memory.change = |_, observation, _| {
        let host = observation.host.as_mut().expect("host");
        (host.memory_pressure, host.swapped_pages) = (Some(0.4), Some(10_000.0));
    };
    // Its own limit takes the page cache away, which the kernel hardly counts as pressure.
    let mut squeezed = Plant::waiting(WaitClass::DataRead, "IO:DataFileRead", 1.0);
    squeezed.change = |_, observation, stack| {
        observation.host.as_mut().expect("host").memory_pressure = Some(0.05);
        let postgres = process("postgres", 2.0, 0.4, 0.0);
        stack.processes.push(ProcessFigures { memory_pushes: Some(5_000), ..postgres });
    };
    // Taking pages away keeps the cores busy too.
    let full = Plant { cpu: 0.97, ..squeezed.clone() };
    let mut roomy = squeezed.clone();
    roomy.change = |_, _, stack| stack.processes.push(process("postgres", 2.0, 0.4, 0.0));
    vec![
        ("a memory limit that leaves no page cache", squeezed, "memory"),
        ("the same without CPU left", full, "memory"),
        ("a slow disk within a memory limit that is not met", roomy, "data-io"),
        ("memory", memory, "memory"),
    ]
}

/// An application without a limit, nearly all of whose work one thread does.
fn of_one_thread() -> Plant {
    let mut threaded = Plant::application();
    threaded.change = |_, _, stack| {
        stack.processes.push(ProcessFigures {
            cpus: None,
            busiest_lane_s: Some(0.97 * SECONDS),
            ..process("app", 1.0, 1.1, 0.0)
        });
    };
    threaded
}

fn applications() -> Vec<Case> {
    let app = Plant::application;
    let mut failing = app();
    failing.change = |trial, _, _| {
        (trial.failed, trial.rows_failed) = (trial.succeeded / 10, trial.succeeded / 10);
        trial.errors.insert("status 503".to_owned(), trial.failed);
    };
    let mut slots = app();
    slots.change = |_, _, stack| {
        let totals = [("total_wait_time".to_owned(), 160_000_000)].into();
        stack.pooler = Some(PoolerFigures {
            totals,
            clients_waiting_mean: 16.0,
            samples: 90,
            ..PoolerFigures::default()
        });
    };
    let mut pooler = app();
    pooler.change = |_, _, stack| stack.processes.push(process("pgbouncer", 0.1, 0.099, 0.9));
    let mut code = app();
    code.change = |_, _, stack| stack.processes.push(process("app", 1.0, 0.97, 0.9));
    let mut opened = app();
    opened.change = |trial, _, stack| {
        stack.processes.push(process("postgres", 0.5, 0.49, 1.0));
        let opened = trial.succeeded;
        let (most, allowed) = (20, None);
        stack.sessions =
            Some(SessionFigures { most, opened, allowed, samples: 90, transactions: None });
    };
    let mut limited = app();
    limited.change = |_, _, stack| stack.processes.push(process("postgres", 0.5, 0.49, 1.0));
    let mut misses = limited.clone();
    misses.change = |trial, _, stack| {
        stack.processes.push(process("postgres", 0.5, 0.49, 1.0));
        let each = trial.succeeded as f64;
        stack.app_metrics = [
            ("cache_hits_total{cache=\"user\"}".to_owned(), each * 0.3),
            ("cache_misses_total{cache=\"user\"}".to_owned(), each * 0.7),
        ]
        .into();
    };
    let mut pool = app();
    pool.change = |_, _, stack| {
        let (most, opened, allowed) = (5, 0, Some(5));
        stack.sessions =
            Some(SessionFigures { most, opened, allowed, samples: 90, transactions: None });
    };
    let (behind, full) = behind_a_pooler();
    let mut machine = Plant { cpu: 0.98, ..app() };
    machine.change = |_, _, stack| {
        stack.processes.push(ProcessFigures { cpus: None, ..process("app", 1.0, 0.7, 0.0) });
        stack.processes.push(ProcessFigures { cpus: None, ..process("postgres", 1.0, 0.7, 0.0) });
    };
    vec![
        ("failures", failing, "failures"),
        ("pooler's slots", slots, "pooler-slots"),
        ("pooler's CPU", pooler, "pooler-cpu"),
        ("application", code, "app-cpu"),
        ("an application's one thread", of_one_thread(), "app-cpu"),
        ("sessions for requests", opened, "connection-setup"),
        ("limited server", limited, "cpu-throttling"),
        ("cache", misses, "cache-misses"),
        ("application's pool", pool, "pool-wait"),
        ("application's pool behind a pooler", behind, "pool-wait"),
        ("a full pool in front of too few slots", full, "pooler-slots"),
        ("whole machine", machine, "machine-cpu"),
        ("whole machine, with a cache", busy_elsewhere(), "machine-cpu"),
        ("slow reader", slow_reader(), "slow-reader"),
        ("idle application", app(), "users"),
    ]
}

fn slow_reader() -> Plant {
    let mut reader = Plant::application();
    reader.phases = vec![(Phase::FirstByte, 50.0)];
    reader.waits.push((WaitClass::ClientWrite, "Client:ClientWrite", 30.0));
    reader
}

/// A pool whose 5 connections all have a server connection each, and one that has more of them than
/// there are server connections.
fn behind_a_pooler() -> (Plant, Plant) {
    let mut own = Plant::application();
    own.factors.push(("connections", json!(5)));
    own.change = |_, _, stack| {
        stack.pooler = Some(PoolerFigures {
            clients_most: 5,
            servers_active_mean: 4.8,
            samples: 90,
            ..PoolerFigures::default()
        });
    };
    let mut slots = own.clone();
    slots.change = |_, _, stack| {
        stack.pooler = Some(PoolerFigures {
            totals: [("total_wait_time".to_owned(), 160_000_000)].into(),
            clients_most: 5,
            clients_waiting_mean: 3.0,
            servers_active_mean: 2.0,
            samples: 90,
            ..PoolerFigures::default()
        });
    };
    (own, slots)
}

/// A cache that misses, on a machine without CPU, while the database has little to do.
fn busy_elsewhere() -> Plant {
    let mut plant = Plant { cpu: 0.98, ..Plant::application() };
    plant.change = |trial, _, stack| {
        stack.processes.push(ProcessFigures { cpus: None, ..process("app", 1.0, 0.7, 0.0) });
        stack.processes.push(process("postgres", 0.5, 0.1, 0.0));
        let each = trial.succeeded as f64;
        stack.app_metrics =
            [("cache_hits_total".to_owned(), each), ("cache_misses_total".to_owned(), each)].into();
    };
    plant
}
