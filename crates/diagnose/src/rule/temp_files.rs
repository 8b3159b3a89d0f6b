use pinchpoint_measure::{Counter, WaitClass, significant};

use super::{Candidate, Finding, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::{Reading, positive};
use crate::seen::Seen;

/// Share of the time from which it may be what limits: writing and reading them takes CPU beside.
const WAITING: f64 = 0.15;
/// Bytes of a block.
const BLOCK: f64 = 8192.0;
/// Share of all blocks that are temporary from which writing, reading and merging them may be what
/// uses up the CPU. The plant's sort: 0.4, and 1.9 times the throughput without.
const COMPUTING: f64 = 0.25;

/// Sorts and hashes that do not fit into `work_mem`.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "temp-files",
    cause: "temporary files",
    examine,
    shows_as: &["server-cpu", "machine-cpu", "cpu-throttling"],
    page: Page {
        signature: "Sessions wait for temporary files (IO:BufFileRead, IO:BufFileWrite) for at least \
                    15 % of an operation's time; or no CPU is left, and a quarter of the \
                    blocks that an operation touches are temporary.",
        evidence: "Sampled sessions; `temp_bytes` for each operation, as blocks beside those of \
                   tables and indexes.",
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
    let waiting = reading.held_share(ms);
    let text = format!("waiting for temporary files takes {}", part(ms, reading.service_ms));
    let bytes = seen.per_op(Counter::TempBytes);
    let computing = bytes.and_then(|bytes| copying(reading, seen, bytes)).unwrap_or(0.0);
    if waiting < WAITING && computing < COMPUTING {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = Vec::new();
    if waiting >= WAITING {
        evidence.push(Signal::Samples.says(text.clone()));
    }
    let mut against = Vec::new();
    match bytes {
        Some(bytes) if bytes > 0.0 => {
            let bytes = significant(bytes, 3);
            evidence.push(Signal::Counters.says(format!("{bytes} bytes of them an operation")));
        }
        Some(_) => against.push("no temporary bytes were counted".to_owned()),
        None => (),
    }
    if computing >= COMPUTING {
        let percent = 100.0 * computing;
        evidence.push(Signal::Kernel.says(format!(
            "no CPU is left, and {percent:.0} % of the blocks that an operation touches are temporary"
        )));
    }
    evidence.extend(reading.idle_cpu());
    let share = waiting.max(computing);
    // The copying goes with the waiting: as much CPU again.
    let removed = (2.0 * waiting / (1.0 + waiting)).max(computing);
    let gain = reading.gain(removed * reading.service_ms, share);
    let error = seen.class_error_ms(WaitClass::TempFile).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(
        text,
        Candidate { share, error, gain, evidence, against, ..Candidate::default() },
    )
}

/// Share of the blocks that are temporary, where no CPU is left: in the page cache it is copying and
/// merging them that takes long, about as long as working through a block of a table; with idle
/// cores it is their waits that count.
fn copying(reading: &Reading, seen: &Seen, bytes: f64) -> Option<f64> {
    let tables = seen.per_op(Counter::BlocksHit)? + seen.per_op(Counter::BlocksRead)?;
    let temporary = positive(bytes / BLOCK).filter(|_| reading.no_cpu_left())?;
    Some(temporary / (temporary + tables))
}
