use pinchpoint_measure::{Counter, WaitClass, significant};

use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Checkpoints that the WAL's growth began, in a minute: with the default `checkpoint_timeout` the
/// clock begins one in five minutes.
const OFTEN: f64 = 2.0;
/// Share of the WAL that is images of whole pages from which checkpoints are what makes it.
const IMAGES: f64 = 0.3;
/// Bytes of a page.
const PAGE_BYTES: f64 = 8192.0;
const WRITING: [WaitClass; 3] = [WaitClass::WalFlush, WaitClass::WalInsert, WaitClass::DataWrite];

/// Checkpoints that come too often: after each, the first change of a page writes the whole page.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "checkpoints",
    cause: "checkpoints",
    examine,
    shows_as: &["wal-flush", "data-io", "lw-lock", "server-wait"],
    page: Page {
        signature: "The growth of the WAL begins at least two checkpoints a minute, at least 30 % of \
                    the WAL is images of whole pages, and sessions wait for writing.",
        evidence: "Checkpoints requested and timed; `wal_fpi` and `wal_bytes`; sampled sessions.",
        counter_evidence: "Checkpoints come by the clock; the WAL holds few page images.",
        advice: &[
            "max_wal_size eight times as large, and a longer checkpoint_timeout",
            "wal_compression, where CPU is left",
            "fewer random updates: keys that come in order, a fillfactor that allows HOT updates",
        ],
        plant: "`max_wal_size = 32MB`, random updates, and a disk that takes its time for WAL.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some(requested) = seen.counter(Counter::CheckpointsRequested) else {
        return Finding::cleared("");
    };
    let timed = seen.counter(Counter::CheckpointsTimed).unwrap_or(0.0);
    let minutes = seen.observation.seconds / 60.0;
    let text = format!("{requested:.0} begun by the WAL's growth, {timed:.0} by the clock");
    let pages = seen.counter(Counter::WalFullPages).unwrap_or(0.0);
    let bytes = seen.counter(Counter::WalBytes).unwrap_or(0.0);
    let images = sound(pages * PAGE_BYTES / bytes).min(1.0);
    if requested < 1.0 || requested / minutes < OFTEN || images < IMAGES {
        let any = requested + timed > 0.0;
        return Finding::cleared(if any { text } else { String::new() });
    }
    // What the images take of the time spent in writing goes; the rest would stay.
    let writing = seen.classes_ms(&WRITING);
    let share = reading.held_share(writing * images);
    let waits = reading.share_of(writing);
    let mut evidence = vec![
        Signal::Counters.says(text.clone()),
        Signal::Counters.says(format!(
            "{:.0} % of {} bytes of WAL an operation are images of whole pages",
            images * 100.0,
            significant(bytes / seen.operations, 3)
        )),
    ];
    if waits > 0.0 {
        let waits = format!("sessions wait for writing {:.0} % of the time", waits * 100.0);
        evidence.push(Signal::Samples.says(waits));
    }
    if let Some(pressure) = seen.observation.host.and_then(|h| h.io_pressure) {
        let text = format!("tasks waited for the disk {:.0} % of the time", pressure * 100.0);
        evidence.push(Signal::Disk.says(text));
    }
    // Making the images takes CPU as well.
    let gain = reading.gain(share * reading.service_ms, images / 2.0);
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
