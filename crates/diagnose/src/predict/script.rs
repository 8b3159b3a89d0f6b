//! What a lever on a load of scripts should give: from what its transactions took before, or from
//! what they took when few clients tried the changed load.

mod taken;

use std::cmp::Ordering;

use pinchpoint_measure::{
    Factors, Observation, Pace, Phase, Prediction, SqlLever, Variant, significant,
};

use super::change::{ALL, FEWEST, closed, stated};
use super::model::Range;
use super::service::{FEWER, MORE, Service};
use super::{Unpredicted, sampling_error};
use crate::reading::Reading;
use crate::{Experience, Machine};
use taken::Taken;

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

/// A part of the clients is enough to see what they do to each other.
const PART: u32 = 3;
/// CPU of a transaction when as many are under way: others wait for their connections.
const SAME: [f64; 2] = [0.93, 1.07];
/// One client's flush: what of the wait that was sampled goes at least, what the rest may be off by,
/// and the CPU of a transaction that does not go to sleep for it (0.4 of it was measured to be left).
const SURELY: f64 = 0.9;
const MARGIN: f64 = 1.2;
const WITHOUT_FLUSH: f64 = 0.4;

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
    let clients = match step.lever {
        SqlLever::Clients(clients) => f64::from(clients),
        _ => reading.users,
    };
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
            .map(|prediction| load.limit(prediction, &service, users, clients));
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
        .map(|prediction| load.limit(prediction, &service, users, clients))
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

#[cfg(test)]
mod tests;
