use super::model::{MOSTLY_IDLE, Range};
use crate::bounds::{Bounds, Demands};
use crate::reading::{Reading, positive};

/// CPU of an operation when more users are there, against before: caches and wake-ups are shared,
/// or they contend.
pub(super) const MORE: [f64; 2] = [0.92, 1.3];
/// The same from a machine that was mostly idle: whoever waited was asleep, and was woken each time.
const FROM_IDLE: [f64; 2] = [0.5, 1.3];
/// The same for fewer users.
pub(super) const FEWER: [f64; 2] = [0.8, 1.1];
/// Names of the processes, whether one thread does all of its work, and what a verdict calls it when
/// its CPU limits.
pub(super) const PROCESSES: [(&str, bool, &str); 5] = [
    ("postgres", false, "server-cpu"),
    ("app", false, "app-cpu"),
    ("beside", false, "app-cpu"),
    ("pgbouncer", true, "pooler-cpu"),
    ("redis", true, "redis-cpu"),
];
/// Use of a process's CPU from which a verdict says that it limits.
const FULL: f64 = 0.85;
/// The same of the whole machine's.
const MACHINE_FULL: f64 = 0.93;
/// Use up to which nothing that is known of is near its limit: users wait for their own answers.
pub(super) const IDLE: f64 = 0.7;

/// A process that operations queue for.
#[derive(Debug, Clone)]
pub(super) struct Station {
    pub name: String,
    /// CPU of an operation.
    pub cpu_ms: f64,
    /// CPUs that it may use.
    pub cpus: f64,
}

/// The machine that the processes and the load share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    pub cores: f64,
    /// CPU of an operation beside that of the processes: the load's own.
    pub other_ms: f64,
}

/// A service under a closed load: what an operation demands of each process, and for how long it is
/// in nobody's way.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub users: f64,
    /// Operations per second, as measured.
    pub per_s: f64,
    pub stations: Vec<Station>,
    /// In milliseconds.
    pub delay: Range,
    pub shared: Option<Shared>,
    /// Milliseconds for which an operation holds what others wait for, one after the other.
    pub serial_ms: f64,
}

/// The station of a process that takes so much CPU for an operation.
pub(super) fn station(name: &str, cpu_ms: f64, cpus: Option<f64>, cores: f64) -> Option<Station> {
    let (name, single, _) = PROCESSES.into_iter().find(|known| known.0 == name)?;
    let cpus = cpus.and_then(positive).unwrap_or(cores);
    let cpus = if single { cpus.min(1.0) } else { cpus };
    Some(Station { name: name.to_owned(), cpu_ms: positive(cpu_ms)?, cpus })
}

impl Service {
    /// As it was measured.
    pub(super) fn of(reading: &Reading) -> Option<Self> {
        let seen = reading.seen()?;
        let of = |(name, _, _): (&str, bool, &str)| {
            let process = seen.process(name)?;
            station(name, seen.each_ms(process.cpu_s?), process.most_cpus(), reading.cores)
        };
        let stations = PROCESSES.into_iter().filter_map(of).collect();
        let other_ms = reading.client_cpu * reading.cores / reading.ops_per_s() * 1000.0;
        let shared = Shared { cores: reading.cores, other_ms };
        Self::calibrated(reading.users, reading.ops_per_s(), stations, Some(shared))
    }

    /// With the delays for which the bounds hold.
    pub(super) fn calibrated(
        users: f64,
        per_s: f64,
        stations: Vec<Station>,
        shared: Option<Shared>,
    ) -> Option<Self> {
        let (users, per_s) = (positive(users)?, positive(per_s)?);
        if stations.is_empty() {
            return None;
        }
        let delay = Range::exactly(0.0);
        let found = Self { users, per_s, stations, delay, shared, serial_ms: 0.0 };
        Some(Self { delay: found.fitting()?, ..found })
    }

    /// The same when an operation holds for so long what others wait for.
    pub(super) fn holding(&self, serial_ms: f64) -> Option<Self> {
        let found = Self { serial_ms: positive(serial_ms).unwrap_or(0.0), ..self.clone() };
        Some(Self { delay: found.fitting()?, ..found })
    }

    /// The delays for which the bounds hold for what was measured.
    fn fitting(&self) -> Option<Range> {
        let most = self.users / self.per_s * 1000.0;
        let bounds = |delay: f64| self.at(delay, self.users);
        // Figures are never so exact that a ceiling is met to the last digit.
        let seen = self.per_s.min(bounds(0.0)?.hi);
        Some(Range {
            lo: boundary(most, |delay| bounds(delay).is_some_and(|b| b.lo > seen * (1.0 + 1e-9))),
            hi: boundary(most, |delay| bounds(delay).is_some_and(|b| b.hi >= seen * (1.0 - 1e-9))),
        })
    }

    /// The same with each process's CPU of an operation times a factor.
    pub(super) fn times(&self, factor: f64) -> Self {
        let mut other = self.clone();
        other.stations.iter_mut().for_each(|s| s.cpu_ms *= factor);
        other
    }

    /// What so many users get, when an operation takes the CPU of `least` at least and that of `most`
    /// at most. Where fewer than all can get at the database at a time, `served` are that many.
    pub(super) fn range(
        &self,
        least: &Self,
        most: &Self,
        users: f64,
        served: f64,
    ) -> Option<Range> {
        // A measurement above what its own demands allow shows how far those are off.
        let ceiling = self.at(0.0, self.users)?.hi;
        let off = (self.per_s / ceiling).max(1.0);
        let hi = least.at(least.delay.lo, users)?.hi * off;
        let lo = most.at(most.delay.hi, served.min(users))?.lo;
        Some(Range { lo: positive(lo)?.min(hi), hi: positive(hi)? })
    }

    /// The range for other users.
    pub(super) fn with_users(&self, users: f64) -> Option<Range> {
        let users = positive(users)?;
        let [least, most] = match users > self.users {
            true if self.is_idle() => FROM_IDLE,
            true => MORE,
            false => FEWER,
        };
        self.range(&self.times(least), &self.times(most), users, users)
    }

    /// Whether every process and the machine were mostly idle at what was measured, or nobody had to share
    /// a core: then each operation found others asleep.
    fn is_idle(&self) -> bool {
        if self.shared.is_some_and(|shared| self.users <= shared.cores) {
            return true;
        }
        let used = |s: &Station| self.per_s * s.cpu_ms / 1000.0 / s.cpus;
        let machine = self.shared.map(|shared| self.machine_use(self.per_s, shared));
        self.stations.iter().map(used).chain(machine).all(|used| used < MOSTLY_IDLE)
    }

    /// What is expected to limit at this throughput, as a verdict would name it: what is nearest to
    /// being full; `users` where nothing is near.
    pub(super) fn limit(&self, per_s: f64) -> String {
        let used = |s: &Station| per_s * s.cpu_ms / 1000.0 / s.cpus / FULL;
        let own = self.stations.iter().filter_map(|s| {
            let (_, _, bottleneck) = PROCESSES.into_iter().find(|known| known.0 == s.name)?;
            let held_back =
                s.name == "postgres" && self.shared.is_some_and(|shared| s.cpus < shared.cores);
            Some((if held_back { "cpu-throttling" } else { bottleneck }, used(s)))
        });
        let machine = self
            .shared
            .map(|shared| ("machine-cpu", self.machine_use(per_s, shared) / MACHINE_FULL));
        let held = ("row-lock", per_s * self.serial_ms / 1000.0 / FULL);
        let held = (self.serial_ms > 0.0).then_some(held);
        let fullest = own.chain(machine).chain(held).max_by(|a, b| a.1.total_cmp(&b.1));
        match fullest {
            Some((name, used)) if used * FULL >= IDLE => name.to_owned(),
            _ => "users".to_owned(),
        }
    }

    /// Share of the machine's CPU that so many operations per second use.
    pub(super) fn machine_use(&self, per_s: f64, shared: Shared) -> f64 {
        per_s * self.all_ms(shared) / 1000.0 / shared.cores
    }

    /// CPU of an operation, all processes and the load together.
    fn all_ms(&self, shared: Shared) -> f64 {
        self.stations.iter().fold(shared.other_ms, |sum, s| sum + s.cpu_ms)
    }

    /// Operations per second by the balanced job bounds. A process with less than a CPU takes longer;
    /// one with several serves several at a time; the machine bounds them all.
    fn at(&self, delay_ms: f64, users: f64) -> Option<Bounds> {
        let add = |all: Demands, s: &Station| {
            let slowed = s.cpu_ms / s.cpus.min(1.0);
            all.station(slowed, s.cpus)
        };
        let mut demands = self.stations.iter().fold(Demands::delay(delay_ms), add);
        demands = demands.station(self.serial_ms, 1.0);
        if let Some(shared) = self.shared {
            demands = demands.shared(self.all_ms(shared) / shared.cores);
        }
        let bounds = demands.throughput(users)?;
        Some(Bounds { lo: bounds.lo * 1000.0, hi: bounds.hi * 1000.0 })
    }
}

/// The largest value up to `most` of which `holds` is true, when it is true up to some value and
/// false from there on; 0 when it is never true.
fn boundary(most: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if !holds(0.0) {
        return 0.0;
    }
    let (mut lo, mut hi) = (0.0, most);
    for _ in 0..60 {
        let middle = f64::midpoint(lo, hi);
        if holds(middle) { lo = middle } else { hi = middle }
    }
    hi
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{Network, Random, throughput as exact};

    fn station(name: &str, cpu_ms: f64, cpus: f64) -> Station {
        Station { name: name.to_owned(), cpu_ms, cpus }
    }

    /// A service that is a random network, as its exact solution has it.
    fn service(network: &Network, users: u32) -> Service {
        let names = ["postgres", "app", "pgbouncer", "redis", "e", "f"];
        let stations =
            network.stations.iter().zip(names).map(|(d, name)| station(name, *d, 1.0)).collect();
        let per_s = exact(network, users) * 1000.0;
        Service::calibrated(f64::from(users), per_s, stations, None).unwrap()
    }

    fn within(range: Range, exact: f64) -> bool {
        range.lo <= exact * (1.0 + 1e-6) && exact <= range.hi * (1.0 + 1e-6)
    }

    /// Thousands of systems whose delay is not told: it is found, and every change of which the
    /// truth is known lies in its range.
    #[test]
    fn exact_systems_are_predicted_from_what_can_be_measured_of_them() {
        let mut random = Random::new(21);
        let mut widths = Vec::new();
        for _ in 0..3_000 {
            let network = Network::any(&mut random);
            let users = random.users();
            let service = service(&network, users);
            let slack = 1e-6 * (1.0 + network.delay);
            assert!(service.delay.lo <= network.delay + slack, "{network:?} {users} {service:?}");
            assert!(network.delay <= service.delay.hi + slack, "{network:?} {users} {service:?}");
            // The server gets faster by a factor: its exact demand is known.
            let times = 1.0 + random.share() * 4.0;
            let mut faster = network.clone();
            faster.stations[0] /= times;
            let mut changed = service.clone();
            changed.stations[0].cpu_ms /= times;
            let n = f64::from(users);
            let range = service.range(&changed, &changed, n, n).unwrap();
            let truth = exact(&faster, users) * 1000.0;
            assert!(within(range, truth), "{network:?} {users} ÷ {times}: {range:?} {truth}");
            widths.push(range.hi / range.lo);
            // Other users.
            let others = random.users();
            let range = service.with_users(f64::from(others)).unwrap();
            let truth = exact(&network, others) * 1000.0;
            assert!(within(range, truth), "{network:?} {users} → {others}: {range:?} {truth}");
        }
        widths.sort_unstable_by(f64::total_cmp);
        assert!(widths[1_500] < 1.7, "median width {}", widths[1_500]);
    }

    /// 100 users, 0.5 ms of the server's half CPU, 0.1 ms of the application's CPU and nothing else:
    /// the server limits at 1,000/s.
    fn bound_by_server() -> Service {
        let stations = vec![station("postgres", 0.5, 0.5), station("app", 0.1, 1.0)];
        let delay = Range::exactly(0.0);
        Service { users: 100.0, per_s: 1_000.0, stations, delay, shared: None, serial_ms: 0.0 }
    }

    #[test]
    fn more_users_by_hand_and_what_limits_them() {
        // They change nothing but what they cost: 1,000 ÷ 1.3 to 1,000 ÷ 0.92.
        let range = bound_by_server().with_users(200.0).unwrap();
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.03;
        assert!(near(range.lo, 769.0) && near(range.hi, 1_087.0), "{range:?}");
        // At 1,000/s the half CPU is full; at 500/s nothing is.
        assert_eq!(bound_by_server().limit(1_000.0), "server-cpu");
        assert_eq!(bound_by_server().limit(500.0), "users");
        let on_two =
            Service { shared: Some(Shared { cores: 2.0, other_ms: 0.1 }), ..bound_by_server() };
        assert_eq!(on_two.limit(1_000.0), "cpu-throttling");
    }

    /// Two cores, 0.7 ms of everybody's CPU: 2,857/s at most, though no process is at its limit.
    #[test]
    fn the_machine_bounds_what_its_processes_would_do_each_by_itself() {
        let shared = Some(Shared { cores: 2.0, other_ms: 0.1 });
        let stations = vec![station("postgres", 0.3, 2.0), station("app", 0.3, 1.0)];
        let service = Service::calibrated(4.0, 2_000.0, stations, shared).unwrap();
        let many = service.range(&service, &service, 400.0, 400.0).unwrap();
        assert!((many.hi - 2_857.0).abs() < 1.0, "{many:?}");
        assert!(many.lo > 2_600.0, "{many:?}");
        assert_eq!(service.limit(2_800.0), "machine-cpu");
        // A pool of 2 lets two in at a time; that is the least that it gives.
        let pooled = service.range(&service, &service, 400.0, 2.0).unwrap();
        assert!(pooled.lo < many.lo && (pooled.hi - many.hi).abs() < 1e-9, "{pooled:?}");
    }

    #[test]
    fn nonsense_predicts_nothing() {
        let service = bound_by_server();
        assert_eq!(service.with_users(f64::NAN), None);
        assert_eq!(service.with_users(0.0), None);
        let app = || vec![station("app", 1.0, 1.0)];
        assert!(Service::calibrated(10.0, 0.0, app(), None).is_none());
        assert!(Service::calibrated(10.0, 5.0, vec![], None).is_none());
        assert!(super::station("app", f64::NAN, None, 2.0).is_none());
        assert!(super::station("somebody", 1.0, None, 2.0).is_none());
        assert!((super::station("redis", 1.0, None, 4.0).unwrap().cpus - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_measurement_above_its_own_demands_is_believed() {
        // CPU was counted a little too high: 0.5 CPU ÷ 0.5 ms is 1,000, and 1,080 were measured.
        let stations = vec![station("postgres", 0.5, 0.5)];
        let service = Service::calibrated(50.0, 1_080.0, stations, None).unwrap();
        let mut double = service.clone();
        double.stations[0].cpus *= 2.0;
        let range = service.range(&double, &double, 50.0, 50.0).unwrap();
        assert!(range.lo <= 2_000.0 && 2_160.0 <= range.hi * 1.000_001, "{range:?}");
    }
}
