use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Finding, LARGE_SHARE, Rule, part};
use crate::Machine;
use crate::reading::Reading;

/// A connection opened and closed for every operation.
pub(crate) const RULE: Rule =
    Rule { bottleneck: "connection-setup", cause: "connection set-up", examine };

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let ms = reading.phase_ms(Phase::is_connection);
    let share = reading.share(Phase::is_connection);
    let text = format!("opening and closing takes {}", part(ms, reading.service_ms));
    if share < LARGE_SHARE {
        return Finding::cleared(text);
    }
    let statement = reading.phase_ms(Phase::is_statement);
    let auth = reading.phase_ms(|p| p == Phase::Auth);
    let mut evidence =
        vec![text.clone(), format!("the statement itself takes {} ms", significant(statement, 3))];
    if auth > ms / 2.0 {
        let auth = significant(auth, 3);
        evidence.push(format!("most of it, {auth} ms, is authentication and the backend's start"));
    }
    evidence.extend(reading.idle_cpu());
    // Not bounded by CPU: what set-up burns of it is freed as well.
    let candidate =
        Candidate { share, gain: 1.0 / (1.0 - share).max(0.01), evidence, against: vec![] };
    Finding { text, candidate: Some(candidate) }
}
