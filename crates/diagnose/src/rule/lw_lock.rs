use pinchpoint_measure::WaitClass;

use super::{Candidate, Finding, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Share of the time from which it may be what limits.
const WAITING: f64 = 0.15;
/// The same where no CPU is left: sessions that only lack one are sampled as running, and the few that
/// wait for a holder without one do not fill half of the time.
const CONVOY: f64 = 0.5;
const CLASSES: [WaitClass; 2] = [WaitClass::LwLock, WaitClass::WalInsert];

/// The server's own lightweight locks.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "lw-lock",
    cause: "lightweight locks",
    examine,
    shows_as: &[],
    page: Page {
        signature: "Sessions wait in LWLock events other than the WAL flush's for at least 15 % of \
                    an operation's time with cores to spare, or for half of it without.",
        evidence: "Sampled sessions. The name says which: BufferContent, a page that all change, such \
                   as the last leaf of an index; LockManager, more than 16 relations in a \
                   statement; WALInsert, many writers; SubtransSLRU and MultiXact, savepoints and \
                   shared row locks.",
        counter_evidence: "Throttling, steal, no CPU left: a holder that does not run makes others \
                           wait.",
        advice: &[
            "fewer sessions at a time: throughput rises when this is it",
            "BufferContent: partition by hash, or an index that is not filled at its right end",
            "LockManager: fewer partitions in a statement, prepared statements",
            "SubtransSLRU: fewer savepoints in a transaction, and no old transaction with many of them; \
             look for prepared ones in pg_prepared_xacts",
        ],
        plant: "A forgotten prepared transaction with a hundred savepoints, and reads of rows written \
                since; sixty-four writers at the end of one table.",
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
    let starved = reading.no_cpu_left();
    if starved && share < CONVOY {
        return Finding::cleared(format!("{text}, without CPU left: who holds one does not run"));
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    evidence.extend(seen.events(&CLASSES).map(|names| Signal::Samples.says(names)));
    evidence.extend(reading.idle_cpu());
    let (mut gain, mut against) = (reading.gain_held(ms), Vec::new());
    if starved {
        // To sleep and to be woken so often takes CPU too. How much is not known: none of it at
        // least, and at most the part that the waits are of the time.
        gain = [1.0, reading.gain(share * reading.service_ms, share)[1]];
        let cpu = seen.observation.backends.map(|backends| seen.each_ms(backends.cpu_s));
        evidence.extend(cpu.map(|ms| {
            let part = part(ms, reading.service_ms);
            Signal::Kernel.says(format!("an operation is on a CPU at the server for {part}"))
        }));
        against.push("no CPU is left: who holds one may have to wait for it".to_owned());
    }
    let error = seen.class_error_ms(WaitClass::LwLock).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(
        text,
        Candidate { share, error, gain, evidence, against, ..Candidate::default() },
    )
}
