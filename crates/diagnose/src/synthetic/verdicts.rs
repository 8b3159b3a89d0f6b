//! Verdicts on thousands of systems whose demands are known: what a closed load would see of each is
//! computed exactly, and the verdict must find in it what was put in.

use pinchpoint_measure::{Phase, Variant, Verdict, WaitClass};

use super::{Network, Random, solve};
use crate::plants::Plant;
use crate::{Machine, verdict};

/// Stations of one server each: the name of the cause, and what a session at it is seen in. Temporary
/// files are none: their rule takes it that CPU goes with them.
const STATIONS: [(&str, WaitClass, &str); 4] = [
    ("server-cpu", WaitClass::Running, "running"),
    ("wal-flush", WaitClass::WalFlush, "IO:WALSync"),
    ("data-io", WaitClass::DataRead, "IO:DataFileRead"),
    ("lw-lock", WaitClass::LwLock, "LWLock:BufferContent"),
];
/// The delay is a round trip, which no operation waits for another in.
const DELAY: &str = "serial-round-trips";
/// The name that the processor has where very many sessions wait for it.
const CROWDED: &str = "too-many-backends";
/// Verdicts that blame nobody.
const NOBODY: [&str; 3] = ["balanced", "users", "none"];
/// Systems in each test.
const SYSTEMS: usize = 4000;
/// One core, so that the processor too is a station of one server.
const ONE_CORE: Machine = Machine { cpus: 1, fsync_us: None };
/// What all systems follow from. Any other must do as well.
const SEED: u64 = 20_190_405;

/// A system, its users, and what they see of it.
#[derive(Debug)]
struct System {
    network: Network,
    users: u32,
    per_ms: f64,
    /// Time of an operation at each station.
    times: Vec<f64>,
}

impl System {
    fn new(network: Network, users: u32) -> Self {
        let (per_ms, times) = solve(&network, users);
        Self { network, users, per_ms, times }
    }

    fn response(&self) -> f64 {
        self.network.delay + self.times.iter().sum::<f64>()
    }

    /// Share of an operation's time at what a cause stands for.
    fn share(&self, cause: &str) -> f64 {
        let time = match station(cause) {
            Some(at) => self.times[at],
            None if cause == DELAY => self.network.delay,
            None => 0.0,
        };
        time / self.response()
    }

    /// Share of its time that a station is busy.
    fn busy(&self, station: usize) -> f64 {
        self.per_ms * self.network.stations[station]
    }

    /// What the load generator and the samplers would have recorded.
    fn variant(&self) -> Variant {
        let [cpu, wal] = [self.times[0], self.times[1]];
        let others = self.response() - wal;
        let waits = STATIONS.iter().zip(&self.times);
        let demand = self.network.stations[0];
        let mut variant = Plant {
            users: self.users,
            phases: vec![(Phase::Execute, others), (Phase::Commit, wal)],
            waits: waits.map(|((_, class, event), ms)| (*class, *event, *ms)).collect(),
            backends: Some((demand, cpu - demand)),
            cpu: self.busy(0),
            client_share: 0.05,
            ..Plant::quiet()
        }
        .variant();
        for observation in variant.trials.iter_mut().filter_map(|t| t.observation.as_mut()) {
            observation.round_trip_ms = Some(self.network.delay);
            // Whoever is served is served to the end.
            if let Some(backends) = &mut observation.backends {
                backends.preemptions = 0.0;
            }
        }
        variant
    }

    fn verdict(&self) -> Verdict {
        verdict(&self.variant(), &ONE_CORE).expect("figures")
    }
}

/// The station that a cause stands for.
fn station(cause: &str) -> Option<usize> {
    let cause = if cause == CROWDED { "server-cpu" } else { cause };
    STATIONS.iter().position(|(name, ..)| *name == cause)
}

/// Demands of any size, in any order.
fn any(random: &mut Random) -> System {
    let stations = STATIONS.iter().map(|_| random.time()).collect();
    let delay = if random.below(4) == 0 { 0.0 } else { random.time() };
    System::new(Network { stations, delay }, 2 + random.users())
}

/// Demands at most half as large as those that lead.
fn led(random: &mut Random, leaders: &[usize]) -> System {
    let largest = random.time();
    let stations = (0..STATIONS.len())
        .map(|at| largest * if leaders.contains(&at) { 1.0 } else { 0.5 * random.share() })
        .collect();
    let delay = largest * random.share();
    System::new(Network { stations, delay }, 2 + random.users())
}

/// The station that is busy nearly all of the time, needed for twice as long as any other, limits.
#[test]
fn the_station_with_the_largest_demand_is_named_where_it_leads() {
    let mut random = Random::new(SEED);
    let (mut looked_at, mut sure, mut wrong) = (0, 0, Vec::new());
    while looked_at < SYSTEMS {
        let leader = random.below(STATIONS.len() as u64) as usize;
        let system = led(&mut random, &[leader]);
        if system.busy(leader) < 0.9 {
            continue;
        }
        looked_at += 1;
        let found = system.verdict();
        if station(&found.bottleneck) != Some(leader) {
            wrong.push((STATIONS[leader].0, found.bottleneck.clone(), system, found));
        } else if found.confidence >= 0.7 {
            sure += 1;
        }
    }
    report("another name", &wrong);
    assert!(sure * 10 >= SYSTEMS * 9, "only {sure} of {SYSTEMS} with confidence");
}

#[test]
fn nothing_that_takes_less_than_a_tenth_of_the_time_is_named_with_confidence() {
    let mut random = Random::new(SEED + 1);
    let mut wrong = Vec::new();
    for _ in 0..SYSTEMS {
        let system = any(&mut random);
        let found = system.verdict();
        let blames = !NOBODY.contains(&found.bottleneck.as_str());
        if blames && found.confidence >= 0.5 && system.share(&found.bottleneck) < 0.1 {
            wrong.push(("anything else", found.bottleneck.clone(), system, found));
        }
    }
    report("a small part", &wrong);
}

/// Whoever holds a lock needs the processor for it: beside one that is full, a lock is no station of
/// its own, and waiting for it is waiting for the processor.
fn is_one(a: usize, b: usize) -> bool {
    let names = [STATIONS[a].0, STATIONS[b].0];
    names.contains(&"server-cpu") && names.contains(&"lw-lock")
}

/// Two stations that are needed for equally long: whatever is named of them, the other is named
/// beside it, or the confidence is that of a draw.
#[test]
fn of_two_that_are_equal_neither_is_blamed_alone() {
    let mut random = Random::new(SEED + 2);
    let (mut looked_at, mut wrong) = (0, Vec::new());
    while looked_at < SYSTEMS {
        let first = random.below(STATIONS.len() as u64) as usize;
        let other = (first + 1 + random.below(STATIONS.len() as u64 - 1) as usize) % STATIONS.len();
        if is_one(first, other) {
            continue;
        }
        looked_at += 1;
        let pair = [first, other];
        let system = led(&mut random, &pair);
        let found = system.verdict();
        let one = station(&found.bottleneck).filter(|at| pair.contains(at));
        let second = found.runner_up.as_ref().and_then(|s| station(&s.bottleneck));
        let both = second.is_some_and(|at| pair.contains(&at) && Some(at) != one);
        if one.is_some() && (found.confidence >= 0.7 || !both && found.confidence >= 0.5) {
            wrong.push((STATIONS[first].0, found.bottleneck.clone(), system, found));
        }
    }
    report("one of two", &wrong);
}

/// What was put in, what was found, and in which system.
type Wrong = (&'static str, String, System, Verdict);

fn report(what: &str, wrong: &[Wrong]) {
    let Some((wanted, found, system, verdict)) = wrong.first() else { return };
    let mut kinds = std::collections::BTreeMap::new();
    for (wanted, found, ..) in wrong {
        *kinds.entry(format!("{wanted} -> {found}")).or_insert(0) += 1;
    }
    panic!(
        "{what} in {} of {SYSTEMS} systems of seed {SEED} {kinds:?}; first {wanted} -> {found}: \
         {system:?} confidence {:.2}, gain {:?}, runner-up {:?}, {:?}, against it {:?}",
        wrong.len(),
        verdict.confidence,
        verdict.gain,
        verdict.runner_up,
        verdict.evidence,
        verdict.against
    );
}
