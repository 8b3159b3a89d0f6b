//! Whether anything can be concluded: checks of the measurement as a whole.

use pinchpoint_measure::{Counter, Phase, significant};

use crate::reading::{HARDLY_STARVED, Reading, sound};
use crate::rule::CPU_FULL;
use crate::seen::{POOLER, WAIT_EVENTS};

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    /// No verdict survives this.
    Void(String),
    /// It speaks against whatever verdict there is.
    Doubt(String),
    /// To be said; the confidence has a place of its own for it.
    Note(String),
}

/// Gates without which the figures cannot be true.
const MUST_HOLD: [&str; 2] = ["littles-law", "phase-sum"];
/// Sources without which a verdict is less sure.
const WANTED: [&str; 2] = [WAIT_EVENTS, "observer"];
/// Views of the server, accounts of its sessions and a pooler's console that rules look into: without one
/// of them a cause may have gone unseen.
const VIEWS: &str = "pg_stat_";
const ACCOUNTS: [&str; 2] = ["backends", POOLER];
/// Deviation of sampled from exact active time that long and short observations may have. Short ones
/// hold few looks.
const EXACT: f64 = 0.05;
const EXACT_SHORT: f64 = 0.10;
/// Seconds from which an observation is long.
const LONG_S: f64 = 30.0;
/// Active sessions that are none of the load's: the watcher's own looks, a monitor.
const STRANGERS: f64 = 0.1;
/// A session hands in its counters at most once a second (`PGSTAT_MIN_INTERVAL`), so a window's
/// ends are off by up to that much.
const HANDED_IN_S: f64 = 1.0;
/// Share of the machine's time that the hypervisor may give to others before it is held against a
/// verdict, and before it voids one.
const STEAL: [f64; 2] = [0.02, 0.10];
/// The same for the CPU that processes outside the run took, which hurts where the machine is full.
const FOREIGN: [f64; 2] = [0.05, 0.15];
/// Differences of throughput between trials, as (most − least) ÷ median. Trials of 3 s on a shared
/// machine of two cores differ by a tenth or two.
const SPREAD: [f64; 2] = [0.3, 1.0];
/// Change of throughput within a trial, as a factor.
const DRIFT: [f64; 2] = [1.3, 2.0];

/// All that is wrong with the measurement.
pub(crate) fn checks(reading: &Reading) -> Vec<Check> {
    let all = [gates(reading), exact(reading), steal(reading), foreign(reading), drift(reading)];
    let mut found: Vec<Check> = all.into_iter().flatten().collect();
    found.extend(unseen(reading));
    if reading.trials < 2 {
        found.push(Check::Note("one trial only".to_owned()));
    }
    found
}

/// Sources that a verdict would have liked to have, with what kept them away.
fn unseen(reading: &Reading) -> Vec<Check> {
    let missing = reading.seen().map_or(&[][..], |seen| &seen.observation.missing);
    let told = |signal: &str, reason: &str| {
        let text = format!("{signal} not seen: {reason}");
        match signal {
            _ if WANTED.contains(&signal) => Some(Check::Note(text)),
            _ if signal.starts_with(VIEWS) || ACCOUNTS.contains(&signal) => {
                Some(Check::Doubt(text))
            }
            _ => None,
        }
    };
    missing.iter().filter_map(|gap| told(&gap.signal, &gap.reason)).collect()
}

/// Gates of the trials: one that must hold and failed in most of them voids the verdict.
pub(crate) fn gates(reading: &Reading) -> Option<Check> {
    if reading.failed_gates.is_empty() {
        return None;
    }
    let names: Vec<&str> = reading.failed_gates.keys().map(String::as_str).collect();
    let text = format!("checks that failed: {}", names.join(", "));
    let void = |(name, count): (&String, &usize)| {
        MUST_HOLD.contains(&name.as_str()) && 2 * count > reading.trials
    };
    let void = reading.failed_gates.iter().any(void);
    Some(if void {
        Check::Void(format!("{text}; the trials' figures cannot all be true"))
    } else {
        Check::Note(text)
    })
}

/// Sampled active sessions against `pg_stat_database.active_time`, which misses nothing.
fn exact(reading: &Reading) -> Option<Check> {
    let seen = reading.seen()?;
    let samples = seen.samples()?;
    let seconds = seen.observation.seconds;
    let exact = sound(seen.counter(Counter::ActiveMs)? / 1000.0 / seconds);
    if exact <= 0.0 {
        // A session whose statements touch no table hands nothing in: it has nothing else to tell.
        return None;
    }
    let short = seconds < LONG_S * reading.trials as f64;
    let each_s = seconds / reading.trials as f64;
    let waits = samples.waits.iter().filter_map(|w| w.error).map(|e| e * e).sum::<f64>().sqrt();
    let largest = samples.active.max(exact);
    let lag = (HANDED_IN_S + reading.service_ms / 1000.0) / each_s * largest.min(reading.users);
    let allowed = (if short { EXACT_SHORT } else { EXACT } * largest).max(2.0 * waits);
    let off = (samples.active - exact).abs() - STRANGERS;
    if off <= allowed + lag {
        return None;
    }
    let text = format!(
        "{} sessions active by samples, {} by the server's own clock",
        significant(samples.active, 3),
        significant(exact, 3)
    );
    if exact < samples.active && our_clock_agrees(reading, samples.active) {
        // A busy server puts off handing in what its sessions counted, by up to a minute
        // (`PGSTAT_MAX_INTERVAL`).
        return Some(Check::Doubt(format!("{text}; our own clock agrees with the samples")));
    }
    Some(if off > 2.0 * (allowed + lag) { Check::Void(text) } else { Check::Doubt(text) })
}

/// Whether as many operations were at the server by the load's clock: Little's law for the time
/// from sending to the answer.
fn our_clock_agrees(reading: &Reading, active: f64) -> bool {
    if reading.requests {
        return false;
    }
    let here = [Phase::Schedule, Phase::Checkout, Phase::Encode, Phase::Sleep];
    let there = reading.phase_ms(|phase| !here.contains(&phase) && !phase.is_connection());
    let there = reading.seen().map_or(there, |seen| seen.past_the_pooler_ms(there));
    let ours = reading.ops_per_s() * there / 1000.0;
    (active - ours).abs() <= EXACT_SHORT * ours
}

fn steal(reading: &Reading) -> Option<Check> {
    let share = reading.seen()?.observation.host?.steal_share?;
    let text = format!("the hypervisor gave {:.0} % of the CPU to others", share * 100.0);
    graded(share, STEAL, text)
}

/// Processes outside the run take what the run would use only where nothing is left, and it does
/// harm only where the run had to wait for it.
fn foreign(reading: &Reading) -> Option<Check> {
    let share = reading.seen()?.foreign_share(reading.cores)?;
    let text = format!("other processes took {:.0} % of the machine's CPU", share * 100.0);
    let full = reading.cpu.is_some_and(|cpu| cpu >= CPU_FULL);
    let got = reading.starved.is_some_and(|share| share <= HARDLY_STARVED);
    match graded(share, FOREIGN, text) {
        Some(Check::Void(text)) if !full || got => Some(Check::Doubt(text)),
        Some(Check::Doubt(_)) if !full || got => None,
        other => other,
    }
}

/// Throughput that changes from trial to trial, or within one.
fn drift(reading: &Reading) -> Option<Check> {
    let within = reading.drift.map_or(1.0, |factor| factor.max(1.0 / factor));
    let text = format!("throughput changed by {} × within a trial", significant(within, 2));
    let between = reading.spread();
    graded(within, DRIFT, text).or_else(|| {
        let text = format!("trials differ by {:.0} % of their median", between * 100.0);
        graded(between, SPREAD, text)
    })
}

/// Nothing below the first limit, a doubt below the second, and void from there on.
fn graded(value: f64, [doubt, void]: [f64; 2], text: String) -> Option<Check> {
    if value >= void {
        Some(Check::Void(text))
    } else if value >= doubt {
        Some(Check::Doubt(text))
    } else {
        None
    }
}
