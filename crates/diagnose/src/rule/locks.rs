use pinchpoint_measure::WaitClass;

use super::{Candidate, Finding, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Share of the time from which it may be what limits.
const WAITING: f64 = 0.2;

/// A table, a page or another object that somebody has locked.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "object-lock",
    cause: "table and page locks",
    examine,
    shows_as: &[],
    page: Page {
        signature: "Sessions wait in Lock:relation, Lock:extend, Lock:advisory and the like for at \
                    least 20 % of an operation's time.",
        evidence: "Sampled sessions, with the name of the wait; who they wait for.",
        counter_evidence: "The server is throttled.",
        advice: &[
            "run ALTER, TRUNCATE, VACUUM FULL and the like at another time, with lock_timeout",
            "Lock:extend: insert in larger batches, or into several partitions",
            "advisory locks: hold them shorter, or use more of them",
        ],
        plant: "A session that holds LOCK TABLE while others insert.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let ms = seen.class_ms(WaitClass::ObjectLock);
    let share = reading.held_share(ms);
    let text = format!("waiting for tables and pages takes {}", part(ms, reading.service_ms));
    if share < WAITING {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    evidence.extend(seen.events(&[WaitClass::ObjectLock]).map(|e| Signal::Samples.says(e)));
    let blocker = seen.samples().and_then(|s| s.blockers.first());
    if let Some(blocker) = blocker {
        let text = format!("they wait for {}, {}", blocker.application, blocker.state);
        evidence.push(Signal::Counters.says(text));
    }
    evidence.extend(reading.idle_cpu());
    let gain = reading.gain_held(ms);
    let error = seen.class_error_ms(WaitClass::ObjectLock).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(text, Candidate { share, error, gain, evidence, ..Candidate::default() })
}
