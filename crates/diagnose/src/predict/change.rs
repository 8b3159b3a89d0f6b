//! What a change to a service should give: other users, or another stack that was tried beforehand.

use std::collections::BTreeMap;

use pinchpoint_measure::{Prediction, Variant, significant};

use super::model::Range;
use super::service::{Service, Shared, Station, station};
use super::{TOO_WIDE, Unpredicted};
use crate::reading::{Reading, positive};
use crate::rule::lookups;
use crate::{Experience, Machine};

/// What was found when a changed stack was tried for a moment, by fewer users than it is to have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StackSounding {
    /// Users at a time.
    pub users: u32,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Operations that succeeded.
    pub operations: u64,
    /// CPU of the load for an operation, in milliseconds.
    pub load_ms: f64,
    /// CPU of each process for an operation.
    pub processes: Vec<ProcessDemand>,
    /// Hits ÷ look-ups of the application's cache (0 to 1); absent where there is none.
    pub hits: Option<f64>,
}

/// What an operation takes of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessDemand {
    /// `postgres`, `app`, `beside`, `pgbouncer`, `redis`.
    pub name: String,
    /// CPU of an operation, in milliseconds.
    pub cpu_ms: f64,
    /// CPUs that it may use; absent without a limit.
    pub cpus: Option<f64>,
}

/// A step to a stack that differs in one thing.
#[derive(Debug, Clone, Copy)]
pub struct StackStep<'a> {
    /// What differs: `cache`, `index`, `join`, `pooler`, `pool`, `client`, ….
    pub lever: &'a str,
    /// Users that the changed stack is to have.
    pub users: u32,
    /// Connections that its pools allow; absent where nothing bounds them.
    pub connections: Option<u32>,
    /// What was found when it was tried.
    pub sounding: &'a StackSounding,
}

/// CPU of an operation when all users are there, against that of the few who tried: wake-ups are
/// shared and what is kept ready is used again, or they contend.
pub(super) const ALL: [f64; 2] = [0.8, 1.3];
/// Operations below which a look has seen too little.
pub(super) const FEWEST: u64 = 20;

/// The throughput to expect of a service with other users: the demands of an operation on each
/// process are measured (CPU ÷ operations); the time in which operations do not get into each
/// other's way is whatever makes the balanced job bounds hold for the throughput that was measured;
/// and the bounds for the other users are the range.
///
/// # Errors
///
/// Why nothing can be said: the load follows a schedule, or nothing was measured that says it.
pub fn predict_users(
    from: &Variant,
    users: u32,
    machine: &Machine,
    experience: &Experience,
) -> Result<Prediction, Unpredicted> {
    let reading = closed(from, machine)?;
    let service = Service::of(&reading).ok_or(Unpredicted::NoProcess)?;
    let range = service.with_users(f64::from(users)).ok_or(Unpredicted::NotMeasured)?;
    let basis = format!(
        "an operation takes {}; {} to {} ms of it overlap with others'",
        demands(&service.stations),
        significant(service.delay.lo, 2),
        significant(service.delay.hi, 2)
    );
    stated(&reading, "concurrency", range, &service, basis, experience)
}

/// The throughput to expect of a changed stack: as [`predict_users`], from the demands that were seen
/// when fewer users tried it, carried on to all users.
///
/// A cache answers more as it fills. How much CPU a miss costs is the difference between the case
/// without it and the sounding; the range reaches from the hits that were seen to a cache that has
/// everything. A pool lets as many in at a time as it has connections, which is the least that it gives.
///
/// # Errors
///
/// Why nothing can be said.
pub fn predict_step(
    from: &Variant,
    step: &StackStep<'_>,
    machine: &Machine,
    experience: &Experience,
) -> Result<Prediction, Unpredicted> {
    let reading = closed(from, machine)?;
    let tried = step.sounding;
    if tried.users >= step.users {
        return Err(Unpredicted::AllTried);
    }
    if tried.operations < FEWEST {
        return Err(Unpredicted::TooFew(tried.operations));
    }
    let cores = machine.cores();
    let of = |p: &ProcessDemand| station(&p.name, p.cpu_ms, p.cpus, cores);
    let stations: Vec<Station> = tried.processes.iter().filter_map(of).collect();
    let other_ms = positive(tried.load_ms).unwrap_or(0.0);
    let per_s = tried.operations as f64 / tried.seconds;
    let shared = Some(Shared { cores, other_ms });
    let seen = Service::calibrated(f64::from(tried.users), per_s, stations, shared)
        .ok_or(Unpredicted::NoProcess)?;
    let (mut least, most) = (seen.times(ALL[0]), seen.times(ALL[1]));
    let filled = tried.hits.and_then(|hits| fill(&mut least, &reading, &seen, hits));
    let users = f64::from(step.users);
    let served = step.connections.map_or(users, |n| f64::from(n.max(1)));
    let range = seen.range(&least, &most, users, served).ok_or(Unpredicted::NotMeasured)?;
    let basis = basis(tried, per_s, &seen, filled);
    stated(&reading, step.lever, range, &seen, basis, experience)
}

/// The figures of a variant whose load is closed.
pub(super) fn closed(from: &Variant, machine: &Machine) -> Result<Reading, Unpredicted> {
    let reading = Reading::of(from, machine.cores()).ok_or(Unpredicted::NoFigures)?;
    match reading.target_per_s {
        Some(_) => Err(Unpredicted::Schedule),
        None => Ok(reading),
    }
}

/// Takes the CPU of the misses that a full cache would not have from a demand: a miss costs what an
/// operation took more before, for each hit that there were fewer. Returns what is left of the
/// database's, in milliseconds; `None` where the two do not differ enough to tell.
fn fill(least: &mut Service, before: &Reading, seen: &Service, hits: f64) -> Option<f64> {
    let hits = hits.clamp(0.0, 1.0);
    let had = before.seen().and_then(|s| cache_hits(&s.app_metrics, &s.redis)).unwrap_or(0.0);
    let more = Some(hits - had).filter(|more| *more >= TELLING)?;
    let without = Service::of(before)?;
    let mut left = None;
    for station in &mut least.stations {
        let of = |service: &Service| {
            service.stations.iter().find(|s| s.name == station.name).map(|s| s.cpu_ms)
        };
        let (Some(old), Some(now)) = (of(&without), of(seen)) else { continue };
        let miss = positive(old - now).map_or(0.0, |saved| saved / more);
        let factor = (1.0 - (1.0 - hits) * miss / now).clamp(LEAST_LEFT, 1.0);
        station.cpu_ms *= factor;
        if station.name == "postgres" {
            left = Some(now * factor);
        }
    }
    left
}

/// Hits ÷ look-ups by the numbers that an application's cache tells, or Redis; `None` without
/// look-ups.
pub fn cache_hits(app: &BTreeMap<String, f64>, redis: &BTreeMap<String, f64>) -> Option<f64> {
    let (hits, misses) = lookups(app, redis)?;
    Some(hits / (hits + misses))
}

/// More hits than before from which on the difference says what a miss costs.
const TELLING: f64 = 0.2;
/// What is left of a demand at least when every look-up hits: writes and what is not looked up.
const LEAST_LEFT: f64 = 0.3;

pub(super) fn demands(stations: &[Station]) -> String {
    let each = stations.iter().map(|s| {
        let (us, cpus) = (significant(s.cpu_ms * 1e3, 3), significant(s.cpus, 2));
        format!("{} {us} µs of {cpus} CPU", s.name)
    });
    each.collect::<Vec<_>>().join(", ")
}

fn basis(tried: &StackSounding, per_s: f64, seen: &Service, filled: Option<f64>) -> String {
    let users = match tried.users {
        1 => "1 user".to_owned(),
        n => format!("{n} users"),
    };
    let mut text = format!(
        "tried for {} s before, {users} at a time, on the changed stack: {}/s; an operation took {}, \
         and with all users {} to {} times as much",
        significant(tried.seconds, 2),
        significant(per_s, 3),
        demands(&seen.stations),
        significant(ALL[0], 2),
        significant(ALL[1], 2),
    );
    if let Some(hits) = tried.hits {
        text.push_str(&format!("; {:.0} % of look-ups hit", hits * 100.0));
    }
    if let Some(left) = filled {
        let us = significant(left * 1e3, 3);
        text.push_str(&format!(", and a full cache would leave {us} µs to postgres"));
    }
    text
}

/// The prediction, widened, with what is expected to limit in the middle of its range.
pub(super) fn stated(
    reading: &Reading,
    lever: &str,
    range: Range,
    service: &Service,
    basis: String,
    experience: &Experience,
) -> Result<Prediction, Unpredicted> {
    let widened = experience.widening(lever);
    let range = range.times(1.0 / widened, widened);
    if range.hi > TOO_WIDE * range.lo {
        return Err(Unpredicted::TooWide);
    }
    Ok(Prediction {
        from: reading.name.clone(),
        lever: lever.to_owned(),
        range_per_s: [range.lo, range.hi],
        basis,
        widened: Some(widened),
        limit: Some(service.limit((range.lo * range.hi).sqrt())),
        ..Prediction::default()
    })
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::{Pace, Phase, ProcessFigures, StackFigures};

    use super::*;
    use crate::sample::Sample;

    const TWO: Machine = Machine { cpus: 2, fsync_us: None };

    /// 100 users of a service at 1,250/s: an operation takes 0.4 ms of the server's half CPU, which is
    /// full, and 0.1 ms of the application's one.
    fn off() -> Variant {
        let mut variant = Sample {
            users: 100,
            rows_per_s: 1_250.0,
            phases: vec![(Phase::Execute, 80.0)],
            cpu: 35.0,
            client_us_per_op: 20.0,
            ..Sample::rung_2()
        }
        .variant();
        let process = |name: &str, cpu_s: f64, cpus: f64| ProcessFigures {
            name: name.to_owned(),
            cpu_s: Some(cpu_s),
            cpus: Some(cpus),
            ..ProcessFigures::default()
        };
        for trial in &mut variant.trials {
            trial.stack = Some(StackFigures {
                processes: vec![process("postgres", 5.0, 0.5), process("app", 1.25, 1.0)],
                ..StackFigures::default()
            });
        }
        variant
    }

    /// The application's 0.1 ms of CPU on one interpreter, which was mostly idle before: at most
    /// 1 ÷ (0.5 × 0.1 ms) = 20,000/s, where two CPUs of a database that takes less would bear more.
    #[test]
    fn an_interpreter_uses_no_more_than_a_core() {
        let most = |interpreters: Option<u32>| {
            let mut from = off();
            for process in
                from.trials.iter_mut().flat_map(|t| &mut t.stack.as_mut().unwrap().processes)
            {
                process.cpus = None;
                if process.name == "app" {
                    process.interpreters = interpreters;
                } else {
                    process.cpu_s = Some(0.5);
                }
            }
            let expected = predict_users(&from, 5_000, &TWO, &Experience::default()).unwrap();
            expected.range_per_s[1]
        };
        let (one, free) = (most(Some(1)), most(None));
        assert!((one / 1.075 / 20_000.0 - 1.0).abs() < 0.02, "{one}");
        assert!(free > 1.05 * one, "{free} {one}");
    }

    /// Four users for a second, with this CPU of the server and 0.02 ms of the load's.
    fn tried(operations: u64, postgres_ms: f64, app_ms: f64, hits: Option<f64>) -> StackSounding {
        let demand = |name: &str, cpu_ms: f64, cpus: f64| ProcessDemand {
            name: name.to_owned(),
            cpu_ms,
            cpus: Some(cpus),
        };
        StackSounding {
            users: 4,
            seconds: 1.0,
            operations,
            load_ms: 0.02,
            processes: vec![demand("postgres", postgres_ms, 0.5), demand("app", app_ms, 1.0)],
            hits,
        }
    }

    fn step<'a>(lever: &'a str, sounding: &'a StackSounding) -> StackStep<'a> {
        StackStep { lever, users: 100, connections: None, sounding }
    }

    fn expect(step: &StackStep<'_>) -> Result<Prediction, Unpredicted> {
        predict_step(&off(), step, &TWO, &Experience::default())
    }

    fn near(range: [f64; 2], wanted: [f64; 2]) {
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 0.05;
        assert!(close(range[0], wanted[0]) && close(range[1], wanted[1]), "{range:?}");
    }

    /// With an index a tenth of the server's CPU is left, and the application limits: at most
    /// 1 ÷ (0.8 × 0.1 ms) = 12,500/s, at least about 1 ÷ (1.3 × 0.1 ms) = 7,692/s; each widened by 1.075.
    #[test]
    fn an_index_moves_the_limit_to_the_application() {
        let sounding = tried(8_000, 0.04, 0.1, None);
        let prediction = expect(&step("index", &sounding)).unwrap();
        near(prediction.range_per_s, [7_155.0, 13_440.0]);
        assert_eq!(prediction.limit.as_deref(), Some("app-cpu"));
        assert_eq!((prediction.lever.as_str(), prediction.from.as_str()), ("index", "2"));
        assert_eq!(
            prediction.basis,
            "tried for 1.0 s before, 4 users at a time, on the changed stack: 8,000/s; an operation \
             took postgres 40.0 µs of 0.50 CPU, app 100 µs of 1.0 CPU, and with all users 0.80 to 1.3 \
             times as much"
        );
    }

    /// 80 % hits leave 0.06 ms of the server: at least about 0.5 ÷ (1.3 × 0.06 ms) = 6,410/s. A miss
    /// costs it 0.34 ms ÷ 0.8, so a full cache leaves it next to nothing, and 0.05 ms of the
    /// application: at most 1 ÷ (0.8 × 0.05 ms) = 25,000/s.
    #[test]
    fn a_cache_reaches_from_the_hits_that_were_seen_to_all() {
        let sounding = tried(4_000, 0.06, 0.06, Some(0.8));
        let prediction = expect(&step("cache", &sounding)).unwrap();
        near(prediction.range_per_s, [5_690.0, 27_500.0]);
        assert_eq!(prediction.limit.as_deref(), Some("cpu-throttling"));
        assert!(
            prediction.basis.ends_with(
                "; 80 % of look-ups hit, and a full cache would leave 18.0 µs to postgres"
            ),
            "{}",
            prediction.basis
        );
        // As many hits as before say nothing of what a miss costs.
        let same = tried(4_000, 0.06, 0.06, Some(0.1));
        let prediction = expect(&step("cache", &same)).unwrap();
        assert!(prediction.range_per_s[1] < 12_000.0, "{prediction:?}");
    }

    /// Two connections let two in at a time, which is the least that a pool gives.
    #[test]
    fn a_pool_lowers_what_is_promised_at_least() {
        let sounding = tried(1_200, 0.4, 0.1, None);
        let open = expect(&step("pool", &sounding)).unwrap();
        let two = StackStep { connections: Some(2), ..step("pool", &sounding) };
        let pooled = expect(&two).unwrap();
        assert!(pooled.range_per_s[0] < 0.95 * open.range_per_s[0], "{pooled:?} {open:?}");
        assert!((pooled.range_per_s[1] - open.range_per_s[1]).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_said_is_refused_with_its_reason() {
        let sounding = tried(4_000, 0.04, 0.1, None);
        let all = StackStep { users: 4, ..step("index", &sounding) };
        assert_eq!(expect(&all), Err(Unpredicted::AllTried), "that would be measuring");
        let few = tried(12, 0.04, 0.1, None);
        assert_eq!(expect(&step("index", &few)), Err(Unpredicted::TooFew(12)));
        let blind = StackSounding { processes: Vec::new(), ..tried(4_000, 0.04, 0.1, None) };
        assert_eq!(expect(&step("index", &blind)), Err(Unpredicted::NoProcess));
        let nonsense = tried(4_000, f64::NAN, f64::INFINITY, Some(f64::NAN));
        assert_eq!(expect(&step("index", &nonsense)), Err(Unpredicted::NoProcess));
        let mut paced = off();
        for trial in &mut paced.trials {
            trial.pace = Pace::Open { target_per_s: 100.0, poisson: false };
        }
        let experience = Experience::default();
        let step = step("index", &sounding);
        assert_eq!(predict_step(&paced, &step, &TWO, &experience), Err(Unpredicted::Schedule));
        assert_eq!(predict_users(&paced, 10, &TWO, &experience), Err(Unpredicted::Schedule));
        assert!(predict_users(&off(), 1_000, &TWO, &experience).is_ok());
    }
}
