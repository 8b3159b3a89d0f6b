use super::{Candidate, Finding, Rule};
use crate::Machine;
use crate::reading::Reading;

/// Share of a load thread's time on a CPU from which it can do no more.
const THREAD_FULL: f64 = 0.9;

/// The load generator itself. While it limits, nothing can be said of the server.
pub(crate) const RULE: Rule = Rule { bottleneck: "client-cpu", cause: "load generator", examine };

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let thread = reading.client_share;
    let text = format!(
        "load threads {:.0} % busy, {:.0} % of the machine's CPU",
        thread * 100.0,
        reading.client_cpu * 100.0
    );
    let takes_most = reading.cpu.is_some_and(|cpu| reading.client_cpu >= cpu / 2.0);
    if thread < THREAD_FULL && !(reading.cpu_is_full() && takes_most) {
        return Finding::cleared(text);
    }
    let mut evidence = vec![text.clone()];
    if takes_most {
        evidence.push("the load threads use more of the machine than the server does".to_owned());
    }
    // Above every other gain: an instrument at its limit makes the other figures void.
    let candidate =
        Candidate { share: thread.max(reading.client_cpu), gain: 100.0, evidence, against: vec![] };
    Finding { text, candidate: Some(candidate) }
}
