use pinchpoint_measure::{Counter, WaitClass, significant};

use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Mean workers at work from which they take what the load would use.
const AT_WORK: f64 = 0.5;
/// Their part of all sessions at work from which they are worth a name: a gain of a quarter without them.
const PART: f64 = 0.2;
/// Share of the load's time in waits that autovacuum makes longer.
const WAITING: f64 = 0.2;
const CLASSES: [WaitClass; 4] =
    [WaitClass::DataRead, WaitClass::DataWrite, WaitClass::WalFlush, WaitClass::LwLock];

/// Autovacuum beside the load.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "autovacuum",
    cause: "autovacuum",
    examine,
    shows_as: &["data-io", "lw-lock", "server-cpu", "machine-cpu"],
    page: Page {
        signature: "Half an autovacuum worker or more is at work on average, a fifth of all sessions at \
                    work or more, and the load has no CPU left or waits for data and log for at least \
                    20 % of its time.",
        evidence: "Sampled workers; runs of autovacuum counted; what the load waits for.",
        counter_evidence: "No run in the measured part.",
        advice: &[
            "a smaller autovacuum_vacuum_cost_limit, or a longer naptime, for that table",
            "not off: what it does not do now is bloat later",
        ],
        plant: "Up to six workers without a cost limit, one started a second, on large tables that are updated.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some((seen, samples)) = reading.seen().and_then(|s| Some((s, s.samples()?))) else {
        return Finding::cleared("");
    };
    let workers = samples.autovacuum_workers;
    let text = format!("{} workers at work on average", significant(workers, 2));
    let share = reading.held_share(seen.classes_ms(&CLASSES));
    // Beside a load of N sessions w workers are w ÷ (N + w) of those that share CPU and disk.
    let part = sound(workers / (samples.active + workers));
    if workers < AT_WORK || part < PART || (share < WAITING && !reading.no_cpu_left()) {
        return Finding::cleared(if workers > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    if let Some(runs) = seen.counter(Counter::Vacuums).filter(|runs| *runs >= 1.0) {
        evidence.push(Signal::Counters.says(format!("{runs:.0} runs on user tables ended")));
    }
    let gain = [1.0, (1.0 / (1.0 - part).max(0.1)).max(1.0)];
    let against = vec!["how much of the waiting is due to it was not measured".to_owned()];
    let found = Candidate { share: part, gain, evidence, against, ..Candidate::default() };
    Finding::suspect(text, found)
}
