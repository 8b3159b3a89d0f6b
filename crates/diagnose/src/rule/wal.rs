use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Finding, LARGE_SHARE, Rule, part};
use crate::Machine;
use crate::reading::Reading;

/// A commit takes one to two flushes: its own, and the rest of the one that was under way when it
/// came (group commit). Beyond this many it waits for something else as well.
const FLUSHES: std::ops::RangeInclusive<f64> = 0.5..=3.0;

/// The flush of the write-ahead log at commit.
pub(crate) const RULE: Rule = Rule { bottleneck: "wal-flush", cause: "WAL flush", examine };

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    let ms = reading.phase_ms(|p| p == Phase::Commit);
    let share = reading.share(|p| p == Phase::Commit);
    if ms <= 0.0 {
        return Finding::cleared("commit was not told apart from execute".to_owned());
    }
    let mut text = format!("commit takes {}", part(ms, reading.service_ms));
    if !reading.is_durable() {
        return Finding::cleared(format!("{text}, and does not wait for the disk"));
    }
    let flushes = machine.fsync_ms().map(|fsync| ms / fsync);
    if let (Some(count), Some(fsync)) = (flushes, machine.fsync_ms()) {
        let (count, fsync) = (significant(count, 2), significant(fsync, 3));
        text = format!("{text}, {count} × one fdatasync of {fsync} ms");
    }
    // With the CPU used up, commits wait for a core, whatever they are called.
    if share < LARGE_SHARE || reading.cpu_is_full() {
        return Finding::cleared(text);
    }
    let mut evidence = vec![text.clone()];
    let mut against = Vec::new();
    match flushes {
        Some(count) if FLUSHES.contains(&count) => {
            evidence
                .push("that is what a flush costs, with the wait for the one before".to_owned());
        }
        Some(_) => against.push("the commit's time is not that of one or two flushes".to_owned()),
        None => against.push("the disk's flush time is not known".to_owned()),
    }
    evidence.extend(reading.idle_cpu());
    let candidate = Candidate { share, gain: reading.gain_without(share), evidence, against };
    Finding { text, candidate: Some(candidate) }
}
