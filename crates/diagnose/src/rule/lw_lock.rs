use pinchpoint_measure::WaitClass;

use super::{Candidate, Finding, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Share of the time from which it may be what limits.
const WAITING: f64 = 0.15;
const CLASSES: [WaitClass; 2] = [WaitClass::LwLock, WaitClass::WalInsert];

/// The server's own lightweight locks.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "lw-lock",
    cause: "lightweight locks",
    examine,
    shows_as: &[],
    page: Page {
        signature: "Sessions wait in LWLock events other than the WAL flush's for at least 15 % of \
                    an operation's time, with cores to spare.",
        evidence: "Sampled sessions. The name says which: BufferContent, a page that all change, such \
                   as the last leaf of an index; LockManager, more than 16 relations in a \
                   statement; WALInsert, many writers; SubtransSLRU and MultiXact, savepoints and \
                   shared row locks.",
        counter_evidence: "Throttling, steal, or no CPU left: a holder that does not run makes \
                           others wait.",
        advice: &[
            "fewer sessions at a time: throughput rises when this is it",
            "BufferContent: partition by hash, or an index that is not filled at its right end",
            "LockManager: fewer partitions in a statement, prepared statements",
            "savepoints: fewer in a transaction",
        ],
        plant: "Sixteen writers at the right end of one index; a hundred partitions without pruning.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let ms = seen.classes_ms(&CLASSES);
    let share = reading.held_share(ms);
    let text = format!("waiting for them takes {}", part(ms, reading.service_ms));
    if share < WAITING {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    if reading.no_cpu_left() {
        return Finding::cleared(format!("{text}, without CPU left: who holds one does not run"));
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    evidence.extend(seen.events(&CLASSES).map(|names| Signal::Samples.says(names)));
    evidence.extend(reading.idle_cpu());
    let gain = reading.gain_held(ms);
    let error = seen.class_error_ms(WaitClass::LwLock).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(text, Candidate { share, error, gain, evidence, ..Candidate::default() })
}
