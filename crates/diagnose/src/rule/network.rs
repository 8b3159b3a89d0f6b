use pinchpoint_measure::{Phase, WaitClass};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Bandwidth: the bytes do not pass as fast as both ends could take them.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "network",
    cause: "network",
    examine,
    shows_as: &["slow-reader"],
    page: Page {
        signature: "At least 30 % of the time passes while bytes wait for the socket: on our side, \
                    or in server sessions that wait inside a statement for the client.",
        evidence: "The phase `transfer`; sessions active in Client:ClientRead (more of a COPY or a \
                   large statement is wanted) or Client:ClientWrite (the answer does not go out).",
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
    let ms = ours.max(theirs);
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
    evidence.extend(reading.idle_cpu());
    let against = vec!["a server that reads slowly looks the same from here".to_owned()];
    let gain = reading.gain_without(share);
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}
