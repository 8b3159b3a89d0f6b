use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Finding, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Share of the time between client and server from which round trips are what takes it.
const BETWEEN: f64 = 0.5;
/// A round trip below this, in milliseconds, is a wake-up on one machine, not a network.
const NETWORK_MS: f64 = 0.2;

/// One operation at a time, or many that mostly travel: client and server take turns waiting.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "serial-round-trips",
    cause: "one at a time",
    examine,
    shows_as: &[],
    page: Page {
        signature: "One operation at a time while CPU is idle; or at least half of an operation's \
                    time passes between client and server, whose round trip is that of a network.",
        evidence: "Our clock; the time that no server session accounts for; the round trip of an \
                   empty request.",
        counter_evidence: "The server's own time dominates; CPU is used up.",
        advice: &[
            "several operations at a time",
            "fewer round trips: one statement for many rows, a pipeline, a function",
            "client and server closer together",
        ],
        plant: "A proxy that delays each direction, in front of a few users.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    if reading.users > 1.0 {
        return travels(reading);
    }
    let text = "1 operation at a time".to_owned();
    if reading.cpu_is_full() {
        return Finding::cleared(text);
    }
    let mut evidence = vec![Signal::Clock.says(format!(
        "{text}: every {} ms one round trip, and nothing overlaps",
        significant(reading.service_ms, 3)
    ))];
    evidence.extend(reading.idle_cpu());
    let mut against = Vec::new();
    if reading.cpu.is_none() {
        against.push("CPU was not measured: room for more is not shown".to_owned());
    }
    // Only the time between set-up and tear-down is the statement's to overlap.
    let share = reading.share(|p| !p.is_connection());
    // With others every wait overlaps, a flush is shared, and so is the CPU that waiting takes.
    let room = reading.headroom() / (1.0 - reading.flush_cpu());
    let gain = [1.0, 1.0 + (room.min(10.0) - 1.0) * share];
    let commit = reading.share(|p| p == Phase::Commit);
    let text = format!("{text}, of which {:.0} % is the commit", commit * 100.0);
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}

/// Many at a time, each of them mostly under way between client and server.
fn travels(reading: &Reading) -> Finding {
    let text = format!("{} operations at a time", reading.users);
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some() && !reading.requests) else {
        return Finding::cleared(text);
    };
    let window = reading.phase_ms(|p| p.is_statement() && p != Phase::Encode);
    let between = seen.past_the_pooler_ms(window - seen.active_ms().unwrap_or(0.0));
    let share = reading.share_of(between);
    let text = format!("{text}; between client and server {}", part(between, reading.service_ms));
    let round_trip = seen.observation.round_trip_ms;
    if share < BETWEEN || reading.no_cpu_left() || round_trip.is_some_and(|ms| ms < NETWORK_MS) {
        return Finding::cleared(text);
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    if let Some(ms) = round_trip {
        let trips = significant(between / ms, 2);
        let shortest = significant(ms, 3);
        let trips =
            format!("an empty request takes {shortest} ms at least: that is {trips} of them");
        evidence.push(Signal::Clock.says(trips));
    }
    evidence.extend(reading.idle_cpu());
    let gain = reading.gain_without(share);
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
