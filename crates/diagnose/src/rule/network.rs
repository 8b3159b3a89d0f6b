use pinchpoint_measure::Phase;

use super::{Candidate, Finding, LARGE_SHARE, Rule, part};
use crate::Machine;
use crate::reading::Reading;

/// Bandwidth: the socket does not take the bytes at once.
pub(crate) const RULE: Rule = Rule { bottleneck: "network", cause: "network", examine };

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let ms = reading.phase_ms(|p| p == Phase::Transfer);
    let share = reading.share(|p| p == Phase::Transfer);
    let text = format!("waiting for the socket takes {}", part(ms, reading.service_ms));
    if share < LARGE_SHARE || reading.cpu_is_full() {
        return Finding::cleared(text);
    }
    let candidate = Candidate {
        share,
        gain: reading.gain_without(share),
        evidence: [Some(text.clone()), reading.idle_cpu()].into_iter().flatten().collect(),
        against: vec!["a server that reads slowly looks the same from here".to_owned()],
    };
    Finding { text, candidate: Some(candidate) }
}
