use pinchpoint_measure::{Phase, WaitClass, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::{Reading, sound};

/// So many times what their round trips take, statements are under way because of their bytes.
const BYTES: f64 = 10.0;
/// Share of their CPU up to which load threads do not look like a slow way.
const CLIENT_IDLE: f64 = 0.5;

/// Bandwidth: the bytes do not pass as fast as both ends could take them.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "network",
    cause: "network",
    examine,
    shows_as: &["slow-reader"],
    page: Page {
        signature: "At least 30 % of the time passes while bytes wait for the socket: on our side, \
                    or in server sessions that wait inside a statement for the client; or between \
                    the two, for ten times as long as the round trips of the statements take.",
        evidence: "The phase `transfer`; sessions active in Client:ClientRead (more of a COPY or a \
                   large statement is wanted) or Client:ClientWrite (the answer does not go out); the \
                   time that no session accounts for, beside that of an empty request.",
        counter_evidence: "A peer that reads slowly looks the same from here.",
        advice: &[
            "ask for fewer columns and rows; send COPY in binary, or compressed",
            "move client and server closer together",
            "more bandwidth",
        ],
        plant: "A proxy with a token bucket in front of the server, and wide rows.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let ours = reading.phase_ms(|p| p == Phase::Transfer);
    let mut text = format!("waiting for the socket takes {}", part(ours, reading.service_ms));
    let seen = reading.seen().filter(|_| !reading.requests);
    let theirs =
        seen.map_or(0.0, |s| s.classes_ms(&[WaitClass::ClientRead, WaitClass::ClientWrite]));
    if theirs > 0.0 {
        let waits = part(theirs, reading.service_ms);
        text = format!("{text}; server sessions wait for bytes to pass for {waits}");
    }
    let between = bytes_between(reading);
    let ms = ours.max(theirs).max(between.map_or(0.0, |(ms, _)| ms));
    let share = reading.share_of(ms);
    if share < LARGE_SHARE || reading.no_cpu_left() {
        return Finding::cleared(text);
    }
    let mut evidence = Vec::new();
    if ours > 0.0 {
        let ours = part(ours, reading.service_ms);
        evidence.push(Signal::Clock.says(format!("waiting for the socket takes {ours}")));
    }
    if theirs > 0.0 {
        let theirs = part(theirs, reading.service_ms);
        evidence.push(Signal::Samples.says(format!("server sessions wait for bytes for {theirs}")));
    }
    if let Some((ms, times)) = between {
        let between = part(ms, reading.service_ms);
        evidence.push(Signal::Samples.says(format!("between client and server {between}")));
        let times = significant(times, 2);
        evidence.push(Signal::Clock.says(format!("{times} × what its round trips take")));
    }
    evidence.extend(reading.idle_cpu());
    let against = vec!["a server that reads slowly looks the same from here".to_owned()];
    let gain = reading.gain_without(share);
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}

/// Milliseconds of an operation on their way between client and server, where these are so many
/// times what the round trips of its statements take that the bytes are what is slow. An answer
/// that fits into buffers leaves the server's session idle while it travels.
fn bytes_between(reading: &Reading) -> Option<(f64, f64)> {
    let seen = reading.seen().filter(|s| s.samples().is_some() && !reading.requests)?;
    let statements = &seen.observation.statements;
    let trips = statements.iter().filter_map(|s| s.calls_per_op).map(sound).sum::<f64>();
    if trips < 0.5 || reading.client_share > CLIENT_IDLE {
        return None;
    }
    let window = reading.phase_ms(|p| p.is_statement() && p != Phase::Encode);
    let between = seen.past_the_pooler_ms(window - seen.active_ms()? - seen.held_ms());
    let times = sound(between / (seen.observation.round_trip_ms? * trips.max(1.0)));
    (times >= BYTES).then_some((between, times))
}
