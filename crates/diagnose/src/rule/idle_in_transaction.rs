use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Round trips in a transaction's gaps above which they are no longer the network's.
const ROUND_TRIPS: f64 = 20.0;
/// Share of the time that a connection is in use.
const MOSTLY: f64 = 0.5;

/// Transactions that are held open while nothing is executed.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "idle-in-transaction",
    cause: "transactions held open",
    examine,
    shows_as: &["pool-wait", "pooler-slots", "serial-round-trips"],
    page: Page {
        signature: "Sessions of the load are idle in a transaction for at least 30 % of an \
                    operation's time, longer than round trips explain; or for most of the time that \
                    they hold a connection which others wait for.",
        evidence: "Sampled sessions; `pg_stat_database.idle_in_transaction_time`; the queue for \
                   connections.",
        counter_evidence: "The gaps are as long as round trips: then it is those.",
        advice: &[
            "do what is not the database's (calls, computing, waiting) before BEGIN or after COMMIT",
            "set idle_in_transaction_session_timeout, so that a forgotten one is ended",
            "a larger pool only hides it: the transactions hold locks and rows meanwhile",
        ],
        plant: "A sleep inside the transaction, with a pool of 10.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let held = seen.held_ms();
    let active = seen.active_ms().unwrap_or(0.0);
    let share = reading.share_of(held);
    let text = format!("idle in transaction for {}", part(held, reading.service_ms));
    let checkout = reading.phase_ms(|p| p == Phase::Checkout);
    let queued = reading.share_of(checkout) >= LARGE_SHARE || queue_outside(reading);
    let round_trips = seen.observation.round_trip_ms.map_or(0.0, |rtt| ROUND_TRIPS * rtt);
    let long = held >= round_trips;
    let mostly = held / (held + active).max(f64::MIN_POSITIVE) >= MOSTLY;
    if !long || !(share >= LARGE_SHARE || (queued && mostly)) {
        return Finding::cleared(if held > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    let counted = seen.per_op(pinchpoint_measure::Counter::IdleInTransactionMs);
    // Sessions hand it in when they are idle, so a short trial may end before.
    if let Some(ms) = counted.filter(|ms| *ms > 0.0) {
        let counted = format!("the server counted {} ms of it an operation", significant(ms, 3));
        evidence.push(Signal::Counters.says(counted));
    }
    if queued {
        evidence.push(Signal::Clock.says("others wait for a connection meanwhile"));
    }
    evidence.extend(reading.idle_cpu());
    // X = m ÷ hold: where connections are what is short, a shorter hold shortens the queue as well.
    let hold = (reading.service_ms - checkout).max(held);
    let removed = held + if queued { checkout * held / hold } else { 0.0 };
    let gain = reading.gain(removed, 0.0);
    let share = share.max(reading.share_of(removed));
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}

/// A queue that our own clock does not see: in a pooler, or in an application's pool.
fn queue_outside(reading: &Reading) -> bool {
    let Some(seen) = reading.seen() else { return false };
    let pooler = seen.pooler.as_ref().is_some_and(|p| p.clients_waiting_mean >= 1.0);
    let full = |s: &pinchpoint_measure::SessionFigures| s.allowed.is_some_and(|a| s.most >= a);
    pooler || seen.sessions.as_ref().is_some_and(full)
}
