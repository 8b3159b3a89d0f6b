use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::Reading;

/// Share of failures that is worth a name of its own.
const MANY: f64 = 0.01;

/// Operations that fail: times of those that did not are times of the lucky.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "failures",
    cause: "failures",
    examine,
    shows_as: &[],
    page: Page {
        signature: "At least 1 % of the operations fail.",
        evidence: "The failures by cause; sessions on the server.",
        counter_evidence: "None: response times are those of what did not fail.",
        advice: &[
            "remove the cause of the failures first; every other figure is of what was left",
            "`too many connections`: a pooler, or smaller pools",
            "timeouts: fewer users, or what the next most likely cause says",
        ],
        plant: "More users than the server accepts connections.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let rate = reading.failed_share;
    let text = format!("{:.1} % of {}s failed", rate * 100.0, reading.operation());
    if rate < MANY {
        return Finding::cleared(if rate > 0.0 { text } else { String::new() });
    }
    let causes: Vec<_> =
        reading.errors.iter().take(3).map(|(cause, n)| format!("{cause} × {n}")).collect();
    let mut evidence = vec![Signal::Clock.says(format!("{text}: {}", causes.join(", ")))];
    if let Some(sessions) = reading.seen().and_then(|s| s.sessions.as_ref()) {
        let most = format!("{} sessions on the server at most", sessions.most);
        evidence.push(Signal::Counters.says(most));
    }
    let gain = [1.0, 1.0 / (1.0 - rate).max(0.01)];
    let found = Candidate { share: rate, gain, evidence, first: true, ..Candidate::default() };
    Finding::suspect(text, found)
}
