use pinchpoint_measure::WaitClass;

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Commits that wait for a standby.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "replica",
    cause: "replica",
    examine,
    shows_as: &[],
    page: Page {
        signature: "Sessions wait in IPC:SyncRep for at least 30 % of an operation's time.",
        evidence: "Sampled sessions; `synchronous_standby_names` is set.",
        counter_evidence: "The standby is asynchronous.",
        advice: &[
            "more rows in a transaction, more sessions at a time: they share the wait",
            "synchronous_commit = local or remote_write, where that is safe enough",
            "a standby that is closer, or has a faster disk",
        ],
        plant: "A synchronous standby (`pg_receivewal`) at the end of a way of 0.2, 2 or 10 ms.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let ms = seen.class_ms(WaitClass::Replica);
    let share = reading.held_share(ms);
    let text = format!("waiting for a standby takes {}", part(ms, reading.service_ms));
    if share < LARGE_SHARE {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    evidence.extend(reading.idle_cpu());
    let gain = reading.gain_held(ms);
    let error = seen.class_error_ms(WaitClass::Replica).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(text, Candidate { share, error, gain, evidence, ..Candidate::default() })
}
