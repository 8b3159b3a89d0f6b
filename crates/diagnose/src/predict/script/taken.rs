use pinchpoint_measure::{Prediction, SessionSamples, WaitClass, significant};

use super::{ScriptSounding, ScriptStep, reconnects};
use crate::Machine;
use crate::predict::Unpredicted;
use crate::predict::change::demands;
use crate::predict::model::{MOSTLY_IDLE, Range};
use crate::predict::service::{Service, Shared, Station, station};
use crate::predict::target::active_users;
use crate::reading::{Reading, positive, sound};

/// What the load's own CPU is called.
const LOAD: &str = "the load";
/// CPU of a transaction when more are under way, against few on a mostly idle machine: fewer
/// wake-ups and larger groups of commits (0.48 to 0.68 was measured), or contention.
pub(super) const FROM_IDLE: [f64; 2] = [0.5, 1.2];
/// The rest of its time then, which holds such wake-ups, but for its flushes.
const AWAKE: f64 = 0.8;
/// How far what [`serial_use`] tells may be off: 1.12 was the most in 20,000 networks solved exactly.
pub(super) const ROUGHLY: f64 = 1.12;
/// With so many more users, to this power, is a lock held for longer: its holder waits for a CPU too.
/// Up to 2.6 times as long with 2.7 times as many was measured, all that may be off included.
const HELD_LONGER: f64 = 0.63;
/// However many strangers there are: the scheduler gives everybody a turn.
const LEAST_CPUS: f64 = 0.25;
/// Clients up to which a commit seldom meets another's flush and has to wait for it.
const ALONE: f64 = 2.0;
/// Share of a transaction's time that flushes take, above which they are what it waits for.
const MOSTLY: f64 = 0.4;

/// What a transaction of a load took, and how many there were.
pub(super) struct Taken {
    pub(super) users: f64,
    /// Transactions per second.
    pub(super) per_s: f64,
    /// CPU of the server, in milliseconds.
    pub(super) server_ms: f64,
    /// CPUs that the server may use.
    pub(super) cpus: Option<f64>,
    /// CPU of the load.
    pub(super) load_ms: f64,
    /// Mean number that waited for what another had locked.
    pub(super) queued: f64,
    /// Milliseconds for which it waited for the flush of its WAL.
    pub(super) flush_ms: f64,
    /// CPUs that processes outside the run used.
    pub(super) strangers: f64,
}

impl Taken {
    pub(super) fn measured(reading: &Reading) -> Result<Self, Unpredicted> {
        let seen = reading.seen().ok_or(Unpredicted::ServerUnseen)?;
        let per_s = reading.ops_per_s();
        let process = seen.process("postgres");
        // Of sessions that come and go, the kernel's accounts of those that are there tell little.
        let whole = process.is_some() || !reconnects(&reading.factors);
        let server = seen.server_cpus().filter(|_| whole).and_then(positive);
        let server = server.ok_or(Unpredicted::ServerUnseen)?;
        Ok(Self {
            // Those of the load as given: a pool lets so many in at a time.
            users: active_users(&reading.factors),
            per_s,
            server_ms: server / per_s * 1000.0,
            cpus: process.and_then(|p| p.cpus),
            load_ms: reading.client_cpu * reading.cores / per_s * 1000.0,
            queued: seen.samples().map_or(0.0, queued),
            flush_ms: seen.class_ms(WaitClass::WalFlush),
            strangers: seen.foreign_share(1.0).unwrap_or(0.0),
        })
    }

    /// `keeps` says whether sessions last.
    pub(super) fn tried(sounding: &ScriptSounding, keeps: bool) -> Result<Self, Unpredicted> {
        let seen = &sounding.observation;
        let process = seen.process("postgres");
        let backends = seen.backends.filter(|_| keeps).map(|b| b.cpu_s);
        let cpu_s = process.and_then(|p| p.cpu_s).or(backends);
        let server = cpu_s.and_then(|cpu| positive(cpu / seen.seconds));
        let per_s = sounding.transactions as f64 / sounding.seconds;
        let sessions = seen.sessions.as_ref();
        let foreign = seen.host.and_then(|host| host.foreign_cpu_s);
        let flushing = sessions.map_or(0.0, |s| s.in_class(WaitClass::WalFlush));
        Ok(Self {
            users: f64::from(sounding.clients),
            per_s: positive(per_s).ok_or(Unpredicted::NotMeasured)?,
            server_ms: server.ok_or(Unpredicted::ServerUnseen)? / per_s * 1000.0,
            cpus: process.and_then(|p| p.cpus),
            load_ms: sound(sounding.load_ms),
            queued: sessions.map_or(0.0, queued),
            flush_ms: sound(flushing / per_s * 1000.0),
            strangers: sound(foreign.unwrap_or(0.0) / seen.seconds),
        })
    }

    /// What transactions queue for when the load has so many threads.
    pub(super) fn stations(&self, threads: u32, cores: f64) -> Vec<Station> {
        let server = station("postgres", self.server_ms, self.cpus, cores);
        let load = positive(self.load_ms).map(|cpu_ms| Station {
            name: LOAD.to_owned(),
            cpu_ms,
            cpus: cores.min(f64::from(threads.max(1))),
        });
        server.into_iter().chain(load).collect()
    }

    /// What a step's transactions get, when more or fewer at a time than now take `factors` of the
    /// CPU; and the load as a service whose locks are one queue.
    pub(super) fn at(
        &self,
        step: &ScriptStep<'_>,
        factors: [f64; 2],
        machine: &Machine,
    ) -> Result<(Range, Service), Unpredicted> {
        let (cores, users) = (machine.cores(), f64::from(step.at_once));
        let stations = self.stations(step.threads, cores);
        // All of the CPU that is known of is a station's.
        let shared = Shared { cores, other_ms: 0.0 };
        let free = Service::calibrated(self.users, self.per_s, stations, Some(shared))
            .ok_or(Unpredicted::ServerUnseen)?;
        let busy = (serial_use(self.queued, self.users) * ROUGHLY).min(1.0);
        let held = free.holding(busy / self.per_s * 1000.0).ok_or(Unpredicted::NotMeasured)?;
        let idle = free.machine_use(self.per_s, shared) < MOSTLY_IDLE && users > self.users;
        let [lo, hi] = if idle { FROM_IDLE } else { factors };
        // With more, a queue for what is locked gets longer than any other wait; with fewer, shorter.
        let more = users > self.users;
        let (without, with) = if more { (&free, &held) } else { (&held, &free) };
        let (mut least, mut most) = (without.times(lo), with.times(hi));
        if more {
            most.serial_ms *= (users / self.users).powf(HELD_LONGER);
        }
        if idle && self.users <= cores {
            let flush = self.flush_ms.min(least.delay.lo);
            least.delay.lo = flush + (least.delay.lo - flush) * AWAKE;
        }
        if self.users <= ALONE && more {
            // A commit may have to wait for the flush before its own.
            most.delay.hi += self.flush_ms;
        }
        let mut range = free.range(&least, &most, users, users).ok_or(Unpredicted::NotMeasured)?;
        if more {
            // Strangers may take what they took, and leave no less than what is had already.
            let crowded = beside(&most, cores - self.strangers);
            let least_left = free.range(&least, &crowded, users, users).map_or(0.0, |r| r.lo);
            range.lo = range.lo.min(least_left.max(self.per_s / hi));
            // Where everything is awake already, a client more is at most a client's worth more.
            let asleep = if self.users > cores { 1.0 } else { AWAKE };
            let most = self.per_s * growth(self.queued, self.users, users) / asleep;
            range.hi = range.hi.min(most).max(range.lo);
        }
        Ok((range, held))
    }

    pub(super) fn text(&self, service: &Service, users: f64) -> String {
        let mut text = format!(
            "{}; {} to {} ms of it overlap with others'",
            demands(&service.stations),
            significant(service.delay.lo, 2),
            significant(service.delay.hi, 2),
        );
        if service.serial_ms > 0.0 {
            text.push_str(&format!(
                "; {} waited for what another had locked, at least one every {} ms if that is one row",
                significant(self.queued, 2),
                significant(service.serial_ms, 2)
            ));
        }
        text.push_str(&format!("; {users} at a time instead of {}", self.users));
        text
    }

    /// Where nothing is near its limit, what transactions wait for most is what a verdict names: a
    /// connection, where `clients` are more than the `users` whom a pool lets in.
    pub(super) fn limit(
        &self,
        mut prediction: Prediction,
        service: &Service,
        users: f64,
        clients: f64,
    ) -> Prediction {
        let [lo, hi] = prediction.range_per_s;
        let per_s = (lo * hi).sqrt();
        if service.limit(per_s) == "users" {
            let flushes = per_s * self.flush_ms / 1000.0 / users;
            let name = match users {
                n if clients > n => "pool-wait",
                _ if flushes > MOSTLY => "wal-flush",
                n if n <= 1.0 => "serial-round-trips",
                _ => "users",
            };
            prediction.limit = Some(name.to_owned());
        }
        prediction
    }
}

/// Mean number of sessions that waited for a row or an object that another had locked.
fn queued(samples: &SessionSamples) -> f64 {
    sound(samples.in_class(WaitClass::RowLock) + samples.in_class(WaitClass::ObjectLock))
}

/// Share of the time in which somebody holds what the others wait for, when that is one queue and so
/// many of `users` wait in it: a wait is what those before it take, W = S·(L + U)·(n − 1) ÷ n
/// (Schweitzer 1979), with W = L ÷ X and S = U ÷ X.
pub(super) fn serial_use(waiting: f64, users: f64) -> f64 {
    if waiting <= 0.0 || users <= 1.0 {
        return 0.0;
    }
    let others = users / (users - 1.0);
    let root = (waiting * waiting + 4.0 * waiting * others).sqrt();
    sound((root - waiting) / 2.0).min(1.0)
}

/// The same where no more than so many CPUs are left by others.
fn beside(service: &Service, cpus: f64) -> Service {
    let cpus = cpus.max(LEAST_CPUS);
    let mut other = service.clone();
    other.stations.iter_mut().for_each(|s| s.cpus = s.cpus.min(cpus));
    if let Some(shared) = &mut other.shared {
        shared.cores = shared.cores.min(cpus);
    }
    other
}

/// Factor by which throughput grows at most from `before` users to `after`, when so many wait for what
/// others have locked: that of equal rows, as many as make that queue, with nothing else to do than
/// to hold one (balanced job bounds). Without a queue they are no bound but the users' number.
fn growth(waiting: f64, before: f64, after: f64) -> f64 {
    let holding = (before - waiting).max(1.0);
    // 1 ÷ rows.
    let each = if before > 1.0 { waiting / holding / (before - 1.0) } else { 0.0 };
    let at = |users: f64| users / (1.0 + (users - 1.0) * each);
    at(after) / at(before)
}
