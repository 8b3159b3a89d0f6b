use pinchpoint_measure::{Counter, WaitClass, significant};

use super::{Candidate, Clue, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::{Reading, positive};
use crate::seen::Seen;

const CLASSES: [WaitClass; 2] = [WaitClass::DataRead, WaitClass::DataWrite];

/// Pages that have to come from the disk, or go there, while somebody waits.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "data-io",
    cause: "reading and writing data",
    examine,
    shows_as: &[],
    page: Page {
        signature: "Sessions wait for data files (IO:DataFileRead, IO:DataFileWrite, \
                    IO:DataFileExtend, IPC:BufferIO) for at least 30 % of an operation's time.",
        evidence: "Sampled sessions; pages read for each operation and the share found in shared \
                   buffers; the time of a read; how busy the disk is.",
        counter_evidence: "No page is read; writes come with checkpoints or autovacuum, which are \
                           then named.",
        advice: &[
            "shared_buffers, or memory, for what is read again and again",
            "an index, so that fewer pages are read; rows that are read together close together",
            "writes by sessions themselves: let the background writer and checkpoints keep up",
            "a faster disk",
        ],
        plant: "A library that delays reads below base/, with small shared_buffers.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let ms = seen.classes_ms(&CLASSES);
    let share = reading.held_share(ms);
    let text = format!("waiting for data files takes {}", part(ms, reading.service_ms));
    if share < LARGE_SHARE {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    evidence.extend(seen.events(&CLASSES).map(|names| Signal::Samples.says(names)));
    let mut against = Vec::new();
    match pages(seen) {
        Some((each, clue)) if each > 0.0 => evidence.push(clue),
        Some(_) if seen.class_ms(WaitClass::DataRead) > seen.class_ms(WaitClass::DataWrite) => {
            against.push("no page was asked of the operating system".to_owned());
        }
        _ => (),
    }
    if let Some(busy) = seen.observation.host.and_then(|h| h.disk_busy) {
        let busy = format!("the disk had something to do {:.0} % of the time", busy * 100.0);
        evidence.push(Signal::Disk.says(busy));
    }
    evidence.extend(reading.idle_cpu());
    let gain = reading.gain_held(ms);
    let error = seen.class_error_ms(WaitClass::DataRead).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(
        text,
        Candidate { share, error, gain, evidence, against, ..Candidate::default() },
    )
}

/// Pages read for an operation, and how many were found in shared buffers.
fn pages(seen: &Seen) -> Option<(f64, Clue)> {
    let (read, hit) = (seen.counter(Counter::BlocksRead)?, seen.counter(Counter::BlocksHit)?);
    let each = seen.per_op(Counter::BlocksRead)?;
    let mut text = format!(
        "{} pages read for an operation, {:.0} % found in shared buffers",
        significant(each, 2),
        hit / (hit + read).max(1.0) * 100.0
    );
    if let Some(ms) = seen.counter(Counter::BlockReadMs).and_then(|ms| positive(ms / read)) {
        text.push_str(&format!(", {} ms for each read", significant(ms, 2)));
    }
    Some((each, Signal::Counters.says(text)))
}
