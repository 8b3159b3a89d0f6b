use pinchpoint_measure::{Counter, Phase, WaitClass, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::{Reading, positive};
use crate::seen::Seen;

/// A commit takes one to two flushes: its own, and the rest of the one that was under way when it
/// came (group commit). Beyond this many it waits for something else as well.
const FLUSHES: std::ops::RangeInclusive<f64> = 0.5..=3.0;
/// Share of the CPU that goes into waiting for a flush: going to sleep, waking the followers of a
/// group. 0.25 to 0.4 was measured, with 50 sessions on two cores.
const CPU_OF_WAITING: f64 = 0.4;

/// The flush of the write-ahead log at commit.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "wal-flush",
    cause: "WAL flush",
    examine,
    shows_as: &[],
    page: Page {
        signature: "The commit, or sessions in IO:WALSync, IO:WALWrite and LWLock:WALWrite (the \
                    followers of a group commit), take at least 30 % of an operation's time.",
        evidence: "The phase `commit`; sampled sessions; commits for each flush; the disk's own flush \
                   time. A flush is a batch station: a commit waits for one to two flushes, and a \
                   busy disk does not cap throughput, because a group may hold half of the users.",
        counter_evidence: "The commit's time is not that of one or two flushes; commits do not wait \
                           (`synchronous_commit = off`); CPU is used up.",
        advice: &[
            "more rows in a transaction: they share its flush",
            "more sessions at a time: they share flushes (group commit)",
            "synchronous_commit = off, where the last moments may be lost in a crash",
            "a disk with a faster flush",
        ],
        plant: "A library that delays fsync and fdatasync below pg_wal by 0.5 to 10 ms.",
    },
};

impl Reading {
    /// Share of the CPU that waiting for flushes takes, by the share of the time that they take.
    pub(crate) fn flush_cpu(&self) -> f64 {
        let (ms, _) = flush_ms(self);
        if self.is_durable() { CPU_OF_WAITING * self.share_of(ms) } else { 0.0 }
    }
}

/// Time of an operation in the flush, and whether the server's sessions say so.
fn flush_ms(reading: &Reading) -> (f64, bool) {
    let sampled = reading.seen().filter(|s| s.samples().is_some());
    match sampled {
        Some(seen) => (seen.class_ms(WaitClass::WalFlush), true),
        None => (reading.phase_ms(|p| p == Phase::Commit), false),
    }
}

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    let (ms, sampled) = flush_ms(reading);
    let share = reading.share_of(ms);
    if ms <= 0.0 {
        return Finding::cleared(if sampled {
            "no session waited for it"
        } else {
            "commit was not told apart from execute"
        });
    }
    let what = if sampled { "waiting for it" } else { "commit" };
    let mut text = format!("{what} takes {}", part(ms, reading.service_ms));
    if !reading.is_durable() && !sampled {
        return Finding::cleared(format!("{text}, and does not wait for the disk"));
    }
    let one = one_flush(reading.seen(), machine);
    if let Some((flush, _)) = one {
        let (count, flush) = (significant(ms / flush, 2), significant(flush, 3));
        text = format!("{text}, {count} × one fdatasync of {flush} ms");
    }
    if share < LARGE_SHARE {
        return Finding::cleared(text);
    }
    let signal = if sampled { Signal::Samples } else { Signal::Clock };
    let mut evidence = vec![signal.says(text.clone())];
    let mut against = Vec::new();
    match one {
        Some((flush, source)) if FLUSHES.contains(&(ms / flush)) => {
            let cost = "that is what a flush costs, with the wait for the one before";
            evidence.push(source.says(cost));
        }
        Some(_) => against.push("the commit's time is not that of one or two flushes".to_owned()),
        None => against.push("the disk's flush time is not known".to_owned()),
    }
    evidence.extend(reading.seen().and_then(group));
    if reading.no_cpu_left() {
        against.push("no CPU is left: commits wait for a core as well".to_owned());
    }
    evidence.extend(reading.idle_cpu());
    let saved = if reading.no_cpu_left() { CPU_OF_WAITING } else { reading.flush_cpu() };
    let gain = reading.gain(ms, saved);
    let seen = reading.seen();
    let error = seen.and_then(|s| s.class_error_ms(WaitClass::WalFlush));
    let error = error.map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(
        text,
        Candidate { share, error, gain, evidence, against, ..Candidate::default() },
    )
}

/// One flush in milliseconds: as the server timed it, as the disk did, or as was measured before.
fn one_flush(seen: Option<&Seen>, machine: &Machine) -> Option<(f64, Signal)> {
    let counted =
        seen.and_then(|s| positive(s.counter(Counter::WalSyncMs)? / s.counter(Counter::WalSyncs)?));
    let disk = seen.and_then(|s| s.observation.host?.disk_flush_ms).and_then(positive);
    counted
        .map(|ms| (ms, Signal::Counters))
        .or(disk.map(|ms| (ms, Signal::Disk)))
        .or(machine.fsync_ms().map(|ms| (ms, Signal::Disk)))
}

/// How many commits share a flush.
fn group(seen: &Seen) -> Option<super::Clue> {
    let commits = seen.counter(Counter::Commits)?;
    let each = positive(commits / seen.counter(Counter::WalSyncs)?)?;
    let each = significant(each, 2);
    Some(Signal::Counters.says(format!("{each} commits shared a flush, on average")))
}
