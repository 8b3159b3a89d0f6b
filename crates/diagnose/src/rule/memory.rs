use super::{Candidate, Finding, Rule};
use crate::Machine;
use crate::reading::Reading;

/// Memory in use from which the machine may be swapping, in per cent.
const FULL: f64 = 95.0;

/// Memory. Only a suspicion: swapping itself is not measured.
pub(crate) const RULE: Rule = Rule { bottleneck: "memory", cause: "memory", examine };

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(percent) = reading.memory_percent else {
        return Finding::cleared("not measured".to_owned());
    };
    let text = format!("{percent:.0} % in use");
    if percent < FULL {
        return Finding::cleared(text);
    }
    let candidate = Candidate {
        share: 0.0,
        gain: 1.2,
        evidence: vec![text.clone()],
        against: vec!["swapping was not observed, only the memory in use".to_owned()],
    };
    Finding { text, candidate: Some(candidate) }
}
