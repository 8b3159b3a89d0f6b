use pinchpoint_measure::{Counter, WaitClass, significant};

use super::{Candidate, Finding, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// Share of the time from which it may be what limits: writing and reading them takes CPU beside.
const WAITING: f64 = 0.15;

/// Sorts and hashes that do not fit into `work_mem`.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "temp-files",
    cause: "temporary files",
    examine,
    shows_as: &[],
    page: Page {
        signature: "Sessions wait for temporary files (IO:BufFileRead, IO:BufFileWrite) for at least \
                    15 % of an operation's time.",
        evidence: "Sampled sessions; `temp_bytes` for each operation.",
        counter_evidence: "No temporary bytes.",
        advice: &[
            "work_mem as large as the largest sort, for that role or statement only",
            "an index that gives the order, or fewer columns in what is sorted",
        ],
        plant: "Sorts of many rows with `work_mem = 64kB`.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let ms = seen.class_ms(WaitClass::TempFile);
    let share = reading.held_share(ms);
    let text = format!("waiting for temporary files takes {}", part(ms, reading.service_ms));
    if share < WAITING {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    let mut against = Vec::new();
    match seen.per_op(Counter::TempBytes) {
        Some(bytes) if bytes > 0.0 => {
            let bytes = significant(bytes, 3);
            evidence.push(Signal::Counters.says(format!("{bytes} bytes of them an operation")));
        }
        Some(_) => against.push("no temporary bytes were counted".to_owned()),
        None => (),
    }
    evidence.extend(reading.idle_cpu());
    // The copying goes with the waiting: as much CPU again.
    let gain = reading.gain(2.0 * share * reading.service_ms / (1.0 + share), share);
    let error = seen.class_error_ms(WaitClass::TempFile).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(
        text,
        Candidate { share, error, gain, evidence, against, ..Candidate::default() },
    )
}
