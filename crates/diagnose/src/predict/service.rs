use pinchpoint_measure::{Prediction, Variant, significant};

use super::model::Range;
use crate::bounds::Demands;
use crate::reading::{Reading, positive};
use crate::{Experience, Machine};

/// A change to a service under a closed load, with what was learned of it beforehand. Ranges are
/// from the least to the most that a figure may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// More or fewer users.
    Users(f64),
    /// A process gets this many times its CPU.
    Cpus {
        /// `postgres`, `app`, `pgbouncer`, `redis`.
        process: String,
        /// Its CPU after ÷ before.
        times: f64,
    },
    /// Connections are kept, by the application or by a pooler.
    KeptConnections {
        /// CPU that the server spent on setting up the connections of an operation, in milliseconds.
        server_ms: [f64; 2],
        /// The same of the application.
        app_ms: [f64; 2],
        /// CPU of the pooler for an operation; 0 without one.
        pooler_ms: [f64; 2],
    },
    /// A share of operations is answered by a cache.
    Cache {
        /// Hits ÷ lookups (0 to 1), from a replay of the keys or a run with the same ones.
        hits: [f64; 2],
        /// CPU of the application for a hit, in milliseconds.
        hit_ms: [f64; 2],
    },
    /// An index for one statement.
    Index {
        /// The statement's share of the server's CPU (0 to 1).
        share: [f64; 2],
        /// Pages that it reads after ÷ before, from `EXPLAIN (ANALYZE, BUFFERS)`.
        pages: [f64; 2],
    },
    /// One joined statement instead of many.
    Join {
        /// Server's CPU of the joined statement ÷ that of all that it replaces.
        server: [f64; 2],
        /// Round trips that an operation no longer makes, times what one takes, in milliseconds.
        saved_ms: [f64; 2],
    },
}

/// CPU of an operation when more users are there, against before: caches and wake-ups are shared,
/// or they contend.
const MORE: [f64; 2] = [0.92, 1.3];
/// The same for fewer users.
const FEWER: [f64; 2] = [0.8, 1.1];
/// Names of the processes, and whether one thread does all of its work.
const PROCESSES: [(&str, bool); 4] =
    [("postgres", false), ("app", false), ("pgbouncer", true), ("redis", true)];

impl Change {
    /// The lever that it is.
    pub const fn lever(&self) -> &'static str {
        match self {
            Self::Users(_) => "concurrency",
            Self::Cpus { .. } => "cpu",
            Self::KeptConnections { .. } => "pooler",
            Self::Cache { .. } => "cache",
            Self::Index { .. } => "index",
            Self::Join { .. } => "join",
        }
    }
}

/// The throughput to expect of a service after a change: the demands of an operation on each
/// process are measured (CPU ÷ operations); the time in which operations do not get into each
/// other's way is whatever makes the balanced job bounds hold for the throughput that was measured;
/// and the bounds at the changed demands are the range.
///
/// `None` when the load follows a schedule, when no process was measured, or when the change needs
/// a process that was not.
pub fn predict_change(
    from: &Variant,
    change: &Change,
    machine: &Machine,
    experience: &Experience,
) -> Option<Prediction> {
    let reading = Reading::of(from, machine.cores())?;
    if reading.target_per_s.is_some() {
        return None;
    }
    let service = Service::of(&reading)?;
    let range = service.after(change)?;
    let widened = experience.widening(change.lever());
    let range = range.times(1.0 / widened, widened);
    let each = service.stations.iter().map(|s| {
        format!(
            "{} {} µs of {} CPU",
            s.name,
            significant(s.cpu_ms * 1e3, 3),
            significant(s.cpus, 2)
        )
    });
    Some(Prediction {
        from: reading.name.clone(),
        lever: change.lever().to_owned(),
        range_per_s: [range.lo, range.hi],
        basis: format!(
            "an operation takes {}; {} to {} ms of it overlap with others'",
            each.collect::<Vec<_>>().join(", "),
            significant(service.delay.lo, 2),
            significant(service.delay.hi, 2)
        ),
        widened: Some(widened),
        ..Prediction::default()
    })
}

/// A process that operations queue for.
#[derive(Debug, Clone)]
struct Station {
    name: String,
    /// CPU of an operation.
    cpu_ms: f64,
    /// CPUs that it may use.
    cpus: f64,
}

#[derive(Debug, Clone)]
struct Service {
    users: f64,
    /// Operations per second, as measured.
    per_s: f64,
    stations: Vec<Station>,
    delay: Range,
}

impl Service {
    fn of(reading: &Reading) -> Option<Self> {
        let seen = reading.seen()?;
        let of = |(name, single): (&str, bool)| {
            let process = seen.process(name)?;
            let cpu_ms = positive(seen.each_ms(process.cpu_s?))?;
            let cpus = process.cpus.and_then(positive).unwrap_or(reading.cores);
            let cpus = if single { cpus.min(1.0) } else { cpus };
            Some(Station { name: name.to_owned(), cpu_ms, cpus })
        };
        let stations: Vec<Station> = PROCESSES.into_iter().filter_map(of).collect();
        Self::calibrated(reading.users, reading.ops_per_s(), stations)
    }

    /// With the delays for which the bounds hold.
    fn calibrated(users: f64, per_s: f64, stations: Vec<Station>) -> Option<Self> {
        let (users, per_s) = (positive(users)?, positive(per_s)?);
        if stations.is_empty() {
            return None;
        }
        let most = users / per_s * 1000.0;
        let bounds = |delay: f64| throughput(&stations, delay, users);
        // Figures are never so exact that a ceiling is met to the last digit.
        let seen = per_s.min(bounds(0.0)?.hi);
        let delay = Range {
            lo: boundary(most, |delay| bounds(delay).is_some_and(|b| b.lo > seen * (1.0 + 1e-9))),
            hi: boundary(most, |delay| bounds(delay).is_some_and(|b| b.hi >= seen * (1.0 - 1e-9))),
        };
        Some(Self { users, per_s, stations, delay })
    }

    /// The range after a change.
    fn after(&self, change: &Change) -> Option<Range> {
        let (mut least, mut most) = (self.clone(), self.clone());
        least.apply(change, 0)?;
        most.apply(change, 1)?;
        // A measurement above what its own demands allow shows how far those are off.
        let ceiling = throughput(&self.stations, 0.0, self.users)?.hi;
        let off = (self.per_s / ceiling).max(1.0);
        let hi = throughput(&least.stations, least.delay.lo, least.users)?.hi * off;
        let lo = throughput(&most.stations, most.delay.hi, most.users)?.lo;
        Some(Range { lo: positive(lo)?.min(hi), hi: positive(hi)? })
    }

    fn station(&mut self, name: &str) -> Option<&mut Station> {
        self.stations.iter_mut().find(|s| s.name == name)
    }

    /// Changes the demands, to the least (`end` 0) or the most (`end` 1) that they may be.
    fn apply(&mut self, change: &Change, end: usize) -> Option<()> {
        // What is gained is least where most of the demand stays.
        let other = 1 - end;
        match change {
            Change::Users(users) => {
                let users = positive(*users)?;
                let factor = if users > self.users { MORE } else { FEWER }[end];
                self.stations.iter_mut().for_each(|s| s.cpu_ms *= factor);
                self.users = users;
            }
            Change::Cpus { process, times } => {
                let times = positive(*times)?;
                self.station(process)?.cpus *= times;
            }
            Change::KeptConnections { server_ms, app_ms, pooler_ms } => {
                self.station("postgres")?.less(server_ms[other]);
                if let Some(app) = self.station("app") {
                    app.less(app_ms[other]);
                }
                if let Some(cpu_ms) = positive(pooler_ms[end]) {
                    let name = "pgbouncer".to_owned();
                    self.stations.push(Station { name, cpu_ms, cpus: 1.0 });
                }
            }
            Change::Cache { hits, hit_ms } => {
                let hits = hits[other].clamp(0.0, 1.0);
                self.stations.iter_mut().for_each(|s| s.cpu_ms *= 1.0 - hits);
                let app = self.station("app")?;
                app.cpu_ms += hits * hit_ms[end].max(0.0);
                self.shorten(1.0 - hits, 0.0);
            }
            Change::Index { share, pages } => {
                let pages = pages[end].clamp(0.0, 1.0);
                self.station("postgres")?.cpu_ms *=
                    1.0 - share[other].clamp(0.0, 1.0) * (1.0 - pages);
            }
            Change::Join { server, saved_ms } => {
                self.station("postgres")?.cpu_ms *= positive(server[end])?;
                self.shorten(1.0, saved_ms[other].max(0.0));
            }
        }
        Some(())
    }

    fn shorten(&mut self, factor: f64, saved_ms: f64) {
        let shorter = |ms: f64| (ms * factor - saved_ms).max(0.0);
        self.delay = Range { lo: shorter(self.delay.lo), hi: shorter(self.delay.hi) };
    }
}

impl Station {
    /// Takes CPU from it, but never all: something is done for an operation.
    fn less(&mut self, ms: f64) {
        self.cpu_ms = (self.cpu_ms - ms.max(0.0)).max(self.cpu_ms / 100.0);
    }
}

/// Operations per second by the balanced job bounds. A process with less than a CPU takes longer;
/// one with several serves several at a time.
fn throughput(stations: &[Station], delay_ms: f64, users: f64) -> Option<crate::bounds::Bounds> {
    let add = |all: Demands, s: &Station| {
        let slowed = s.cpu_ms / s.cpus.min(1.0);
        all.station(slowed, s.cpus)
    };
    let bounds = stations.iter().fold(Demands::delay(delay_ms), add).throughput(users)?;
    Some(crate::bounds::Bounds { lo: bounds.lo * 1000.0, hi: bounds.hi * 1000.0 })
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
        Service::calibrated(f64::from(users), per_s, stations).unwrap()
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
            let change = Change::Index { share: [1.0; 2], pages: [1.0 / times; 2] };
            let range = service.after(&change).unwrap();
            let truth = exact(&faster, users) * 1000.0;
            assert!(within(range, truth), "{network:?} {users} ÷ {times}: {range:?} {truth}");
            widths.push(range.hi / range.lo);
            // Other users.
            let others = random.users();
            let range = service.after(&Change::Users(f64::from(others))).unwrap();
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
        Service { users: 100.0, per_s: 1_000.0, stations, delay: Range::exactly(0.0) }
    }

    fn check(change: &Change, wanted: [f64; 2]) {
        let range = bound_by_server().after(change).unwrap();
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.03;
        assert!(near(range.lo, wanted[0]) && near(range.hi, wanted[1]), "{change:?}: {range:?}");
    }

    #[test]
    fn each_lever_by_hand() {
        // More users change nothing but what they cost: 1,000 ÷ 1.3 to 1,000 ÷ 0.92.
        check(&Change::Users(200.0), [769.0, 1_087.0]);
        // Twice the CPU: 1 CPU ÷ 0.5 ms.
        check(&Change::Cpus { process: "postgres".to_owned(), times: 2.0 }, [2_000.0, 2_000.0]);
        // 0.3 to 0.4 ms of set-up gone leaves 0.2 to 0.1 ms: 2,500 to 5,000; the pooler's 0.25 ms
        // of its one thread allow 4,000.
        let kept = Change::KeptConnections {
            server_ms: [0.3, 0.4],
            app_ms: [0.0, 0.0],
            pooler_ms: [0.25, 0.25],
        };
        check(&kept, [2_500.0, 4_000.0]);
        // 70 to 80 % hits: 0.15 to 0.1 ms of the server, 3,333 to 5,000.
        check(&Change::Cache { hits: [0.7, 0.8], hit_ms: [0.05, 0.05] }, [3_333.0, 5_000.0]);
        // A statement that is 80 % of the server's work reads a tenth: 0.5 × 0.28 = 0.14 ms.
        check(&Change::Index { share: [0.8, 0.8], pages: [0.1, 0.1] }, [3_571.0, 3_571.0]);
        // The joined statement costs 40 to 50 % of what it replaces.
        check(&Change::Join { server: [0.4, 0.5], saved_ms: [0.0, 0.0] }, [2_000.0, 2_500.0]);
    }

    #[test]
    fn a_process_that_nobody_measured_and_nonsense_predict_nothing() {
        let service = bound_by_server();
        let redis = Change::Cpus { process: "redis".to_owned(), times: 2.0 };
        assert_eq!(service.after(&redis), None);
        assert_eq!(service.after(&Change::Users(f64::NAN)), None);
        assert_eq!(service.after(&Change::Users(0.0)), None);
        assert!(Service::calibrated(10.0, 0.0, vec![station("app", 1.0, 1.0)]).is_none());
        assert!(Service::calibrated(10.0, 5.0, vec![]).is_none());
    }

    #[test]
    fn a_measurement_above_its_own_demands_is_believed() {
        // CPU was counted a little too high: 0.5 CPU ÷ 0.5 ms is 1,000, and 1,080 were measured.
        let stations = vec![station("postgres", 0.5, 0.5)];
        let service = Service::calibrated(50.0, 1_080.0, stations).unwrap();
        let double = Change::Cpus { process: "postgres".to_owned(), times: 2.0 };
        let range = service.after(&double).unwrap();
        assert!(range.lo <= 2_000.0 && 2_160.0 <= range.hi * 1.000_001, "{range:?}");
    }
}
