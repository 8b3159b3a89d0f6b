//! What a lever on a load of scripts should give: from what its transactions took before, or from
//! what they took when few clients tried the changed load.

use std::cmp::Ordering;

use pinchpoint_measure::{
    Factors, Observation, Pace, Phase, Prediction, SessionSamples, SqlLever, Variant, WaitClass,
    significant,
};

use super::change::{ALL, FEWEST, closed, demands, stated};
use super::model::{MOSTLY_IDLE, Range};
use super::service::{FEWER, MORE, Service, Shared, Station, station};
use super::target::active_users;
use super::{Unpredicted, sampling_error};
use crate::reading::{Reading, positive, sound};
use crate::{Experience, Machine};

/// What was found when few clients tried a changed load of scripts for a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScriptSounding {
    /// Transactions at a time.
    pub clients: u32,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Transactions that ended well.
    pub transactions: u64,
    /// CPU of the load for a transaction, in milliseconds.
    pub load_ms: f64,
    /// What was seen of the server meanwhile.
    pub observation: Observation,
}

/// A lever that is about to be applied to a load of scripts.
#[derive(Debug, Clone, Copy)]
pub struct ScriptStep<'a> {
    /// The lever.
    pub lever: SqlLever,
    /// Transactions that can be at the server at a time then.
    pub at_once: u32,
    /// Threads of the load then.
    pub threads: u32,
    /// What was found when it was tried, where [`clients_to_try`] says that it should be.
    pub sounding: Option<&'a ScriptSounding>,
}

/// What the load's own CPU is called.
const LOAD: &str = "the load";
/// A part of the clients is enough to see what they do to each other.
const PART: u32 = 3;
/// CPU of a transaction when as many are under way: others wait for their connections.
const SAME: [f64; 2] = [0.93, 1.07];
/// CPU of a transaction when more are under way, against few on a mostly idle machine: fewer
/// wake-ups and larger groups of commits (0.48 to 0.68 was measured), or contention.
const FROM_IDLE: [f64; 2] = [0.5, 1.2];
/// The rest of its time then, which holds such wake-ups, but for its flushes.
const AWAKE: f64 = 0.8;
/// How far what [`serial_use`] tells may be off: 1.12 was the most in 20,000 networks solved exactly.
const ROUGHLY: f64 = 1.12;
/// With so many more users, to this power, is a lock held for longer: its holder waits for a CPU too.
/// Twice as long with three times as many was measured.
const HELD_LONGER: f64 = 0.63;
/// One client's flush: what of the wait that was sampled goes at least, what the rest may be off by,
/// and the CPU of a transaction that does not go to sleep for it (0.4 of it was measured to be left).
const SURELY: f64 = 0.9;
const MARGIN: f64 = 1.2;
const WITHOUT_FLUSH: f64 = 0.4;
/// Clients up to which a commit seldom meets another's flush and has to wait for it.
const ALONE: f64 = 2.0;
/// Share of a transaction's time that flushes take, above which they are what it waits for.
const MOSTLY: f64 = 0.4;

/// How many clients should try a lever before it is predicted; `None` where that is said from the
/// load as it was, or cannot be said at all.
///
/// Another number of transactions at a time changes nothing of what one takes, so what they took is
/// known. Anything else has to be seen.
pub fn clients_to_try(from: &Variant, lever: SqlLever, at_once: u32) -> Option<u32> {
    let scheduled = from.trials.iter().any(|t| t.pace != Pace::Closed);
    let can_tell = from.summary.is_some() && !scheduled && at_once > 1;
    (can_tell && !only_numbers(from, lever)).then(|| at_once.div_ceil(PART))
}

/// Whether a lever only lets more or fewer transactions in at a time.
fn only_numbers(from: &Variant, lever: SqlLever) -> bool {
    match lever {
        SqlLever::Clients(_) => true,
        SqlLever::Pool(_) => !reconnects(&from.factors),
        _ => false,
    }
}

/// Whether each transaction opens a connection.
fn reconnects(factors: &Factors) -> bool {
    factors.get("connection").is_some_and(|how| how == "per-operation")
}

/// The throughput to expect of a load of scripts with a lever applied, from its measurement as given.
///
/// What a transaction takes of the server's CPU and of the load's is measured. So is how many wait
/// for a row or an object that another has locked: were that one queue, its holder would be found at
/// work a known share of the time, which is the least that comes; were it as many rows as make such a
/// queue of those who do nothing else, that is the most. The time in which transactions are in nobody's way is whatever makes the balanced job
/// bounds hold for the throughput that was measured; and the bounds at the number of clients to come
/// are the range. A lever that only takes something away lowers nothing.
///
/// # Errors
///
/// Why nothing can be said.
pub fn predict_script(
    from: &Variant,
    step: &ScriptStep<'_>,
    machine: &Machine,
    experience: &Experience,
) -> Result<Prediction, Unpredicted> {
    let reading = closed(from, machine)?;
    let (lever, users) = (step.lever.name(), f64::from(step.at_once));
    if let SqlLever::SynchronousCommit(on) = step.lever
        && on == reading.is_durable()
    {
        return Err(Unpredicted::NothingDiffers);
    }
    let Some(sounding) = step.sounding else {
        if clients_to_try(from, step.lever, step.at_once).is_some() {
            return Err(Unpredicted::NotMeasured);
        }
        let load = Taken::measured(&reading)?;
        if !only_numbers(from, step.lever) {
            return alone(from, &reading, &load, step.lever, experience);
        }
        let factors = match users.total_cmp(&load.users) {
            Ordering::Greater => MORE,
            Ordering::Equal => SAME,
            Ordering::Less => FEWER,
        };
        let (range, service) = load.at(step, factors, machine)?;
        let error = sampling_error(from);
        let range = range.times(1.0 / error, error);
        let basis = format!("a transaction took {}", load.text(&service, users));
        return stated(&reading, lever, range, &service, basis, experience)
            .map(|prediction| load.limit(prediction, &service, users));
    };
    if sounding.clients >= step.at_once {
        return Err(Unpredicted::AllTried);
    }
    if sounding.transactions < FEWEST {
        return Err(Unpredicted::TooFew(sounding.transactions));
    }
    let keeps = matches!(step.lever, SqlLever::Connected | SqlLever::Pool(_));
    let load = Taken::tried(sounding, keeps || !reconnects(&from.factors))?;
    let (mut range, service) = load.at(step, ALL, machine)?;
    let takes_away = matches!(step.lever, SqlLever::SynchronousCommit(false) | SqlLever::Connected);
    if takes_away {
        // Throughput falls with no demand (monotonicity of closed networks: Suri 1985).
        let before = reading.ops_per_s() / sampling_error(from);
        range.lo = range.lo.max(before).min(range.hi);
    }
    let basis = format!(
        "tried for {} s before, {} at a time, with the lever applied: {}/s; a transaction took {}",
        significant(sounding.seconds, 2),
        sounding.clients,
        significant(load.per_s, 3),
        load.text(&service, users)
    );
    stated(&reading, lever, range, &service, basis, experience)
        .map(|prediction| load.limit(prediction, &service, users))
}

/// One transaction at a time that no longer waits for the flush: its time without that, as far as the
/// flush was seen, down to the part of its CPU that is not the flush's. Of anything else there is no
/// telling, as no fewer could try it.
fn alone(
    from: &Variant,
    reading: &Reading,
    load: &Taken,
    lever: SqlLever,
    experience: &Experience,
) -> Result<Prediction, Unpredicted> {
    if lever != SqlLever::SynchronousCommit(false) || load.users > 1.0 {
        return Err(Unpredicted::OneClient);
    }
    let (whole, flush) = (reading.service_ms, load.flush_ms.min(reading.service_ms));
    if flush <= 0.0 {
        return Err(Unpredicted::NothingFlushed);
    }
    let commit = reading.phase_ms(|phase| phase == Phase::Commit);
    let cpu = load.server_ms + load.load_ms;
    let most = (whole - SURELY * flush) * MARGIN;
    let least = ((whole - commit.max(flush)) / 2.0).max(cpu * WITHOUT_FLUSH).min(most);
    let error = sampling_error(from);
    let range = Range { lo: 1000.0 / most, hi: 1000.0 / least };
    let range = Range { lo: range.lo.max(load.per_s).min(range.hi), ..range };
    let range = range.times(1.0 / error, error);
    let stations = load.stations(1, 1.0);
    let service = Service::calibrated(1.0, load.per_s, stations, None);
    let service = service.ok_or(Unpredicted::NotMeasured)?;
    let basis = format!(
        "of {} ms a transaction waited {} ms for the flush of its WAL; {} to {} ms of it are left",
        significant(whole, 3),
        significant(flush, 3),
        significant(least, 2),
        significant(most, 2)
    );
    let mut prediction = stated(reading, lever.name(), range, &service, basis, experience)?;
    // Client and server take turns.
    prediction.limit = Some("serial-round-trips".to_owned());
    Ok(prediction)
}

/// What a transaction of a load took, and how many there were.
struct Taken {
    users: f64,
    /// Transactions per second.
    per_s: f64,
    /// CPU of the server, in milliseconds.
    server_ms: f64,
    /// CPUs that the server may use.
    cpus: Option<f64>,
    /// CPU of the load.
    load_ms: f64,
    /// Mean number that waited for what another had locked.
    queued: f64,
    /// Milliseconds for which it waited for the flush of its WAL.
    flush_ms: f64,
}

impl Taken {
    fn measured(reading: &Reading) -> Result<Self, Unpredicted> {
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
        })
    }

    /// `keeps` says whether sessions last.
    fn tried(sounding: &ScriptSounding, keeps: bool) -> Result<Self, Unpredicted> {
        let seen = &sounding.observation;
        let process = seen.process("postgres");
        let backends = seen.backends.filter(|_| keeps).map(|b| b.cpu_s);
        let cpu_s = process.and_then(|p| p.cpu_s).or(backends);
        let server = cpu_s.and_then(|cpu| positive(cpu / seen.seconds));
        let per_s = sounding.transactions as f64 / sounding.seconds;
        let sessions = seen.sessions.as_ref();
        let flushing = sessions.map_or(0.0, |s| s.in_class(WaitClass::WalFlush));
        Ok(Self {
            users: f64::from(sounding.clients),
            per_s: positive(per_s).ok_or(Unpredicted::NotMeasured)?,
            server_ms: server.ok_or(Unpredicted::ServerUnseen)? / per_s * 1000.0,
            cpus: process.and_then(|p| p.cpus),
            load_ms: sound(sounding.load_ms),
            queued: sessions.map_or(0.0, queued),
            flush_ms: sound(flushing / per_s * 1000.0),
        })
    }

    /// What transactions queue for when the load has so many threads.
    fn stations(&self, threads: u32, cores: f64) -> Vec<Station> {
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
    fn at(
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
            // Where everything is awake already, a client more is at most a client's worth more.
            let asleep = if self.users > cores { 1.0 } else { AWAKE };
            let most = self.per_s * growth(self.queued, self.users, users) / asleep;
            range.hi = range.hi.min(most).max(range.lo);
        }
        Ok((range, held))
    }

    fn text(&self, service: &Service, users: f64) -> String {
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

    /// Where nothing is near its limit, what transactions wait for most is what a verdict names.
    fn limit(&self, mut prediction: Prediction, service: &Service, users: f64) -> Prediction {
        let [lo, hi] = prediction.range_per_s;
        let per_s = (lo * hi).sqrt();
        if service.limit(per_s) == "users" {
            let flushes = per_s * self.flush_ms / 1000.0 / users;
            let name = match users {
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
fn serial_use(waiting: f64, users: f64) -> f64 {
    if waiting <= 0.0 || users <= 1.0 {
        return 0.0;
    }
    let others = users / (users - 1.0);
    let root = (waiting * waiting + 4.0 * waiting * others).sqrt();
    sound((root - waiting) / 2.0).min(1.0)
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

#[cfg(test)]
mod tests;
