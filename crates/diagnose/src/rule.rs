//! One cause a file. To add one, copy the shortest neighbour and register it in [`RULES`].

mod app_cpu;
mod autovacuum;
mod bloat;
mod cache_misses;
mod checkpoints;
mod client_cpu;
mod connection;
mod data_io;
mod failures;
mod idle_in_transaction;
mod locks;
mod lw_lock;
mod machine_cpu;
mod memory;
mod missing_index;
mod n_plus_one;
mod network;
mod planning;
mod pool;
mod pooler_cpu;
mod pooler_slots;
mod replica;
mod round_trips;
mod row_lock;
mod server_cpu;
mod server_wait;
mod slow_reader;
mod temp_files;
mod throttling;
mod too_many_backends;
mod wal;

use std::collections::BTreeSet;

use pinchpoint_measure::significant;

use crate::Machine;
use crate::reading::Reading;
pub(crate) use cache_misses::lookups;

/// Every cause that is looked at, in the order in which it is shown: the client, limits and noise,
/// connections, what the server waits for, and what makes it work too much.
pub(crate) const RULES: &[Rule] = &[
    client_cpu::RULE,
    failures::RULE,
    throttling::RULE,
    app_cpu::RULE,
    server_cpu::RULE,
    machine_cpu::RULE,
    memory::RULE,
    network::RULE,
    slow_reader::RULE,
    connection::RULE,
    pool::RULE,
    idle_in_transaction::RULE,
    pooler_slots::RULE,
    pooler_cpu::RULE,
    round_trips::RULE,
    n_plus_one::RULE,
    wal::RULE,
    row_lock::RULE,
    locks::RULE,
    lw_lock::RULE,
    data_io::RULE,
    checkpoints::RULE,
    temp_files::RULE,
    replica::RULE,
    autovacuum::RULE,
    bloat::RULE,
    missing_index::RULE,
    planning::RULE,
    too_many_backends::RULE,
    cache_misses::RULE,
    server_wait::RULE,
];

/// Share of an operation's time from which a phase or a wait may be what limits.
pub(crate) const LARGE_SHARE: f64 = 0.3;
/// Share of the CPU that there is from which there is no room left. Not 1: the scheduler's ticks
/// and short waits for a lock leave a few per cent idle on a machine that can do no more.
pub(crate) const CPU_FULL: f64 = 0.85;
/// Share of the scheduler's periods from which a CPU limit counts as the brake.
pub(crate) const THROTTLED: f64 = 0.5;

/// One candidate cause.
pub(crate) struct Rule {
    /// Stable name in `result.json`.
    pub bottleneck: &'static str,
    /// What people call it.
    pub cause: &'static str,
    /// Looks at the figures.
    pub examine: fn(&Reading, &Machine) -> Finding,
    /// Causes that are only how this one shows: they are not named beside it.
    pub shows_as: &'static [&'static str],
    /// What to tell people about it.
    pub page: Page,
}

/// A cause in words.
pub(crate) struct Page {
    /// How it is recognised.
    pub signature: &'static str,
    /// What speaks for it.
    pub evidence: &'static str,
    /// What speaks against it.
    pub counter_evidence: &'static str,
    /// What to do about it, the cheapest first.
    pub advice: &'static [&'static str],
    /// How it is made to appear in tests.
    pub plant: &'static str,
}

/// What a rule found.
pub(crate) struct Finding {
    /// The figure that decides.
    pub text: String,
    /// Set when it may be what limits.
    pub candidate: Option<Candidate>,
}

/// A cause that may be what limits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidate {
    /// Share of an operation's time that it takes, 0 to 1.
    pub share: f64,
    /// Standard error of that share, where it is sampled.
    pub error: f64,
    /// Factors by which throughput could rise if it were gone, lowest and highest; at least 1.
    pub gain: [f64; 2],
    /// What speaks for it.
    pub evidence: Vec<Clue>,
    /// What speaks against it.
    pub against: Vec<String>,
    /// The most confidence that it can be named with, where what would decide cannot be seen.
    pub most: Option<f64>,
    /// While it stands, no other figure says anything of the server.
    pub first: bool,
}

/// A figure, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clue {
    /// Its source.
    pub signal: Signal,
    /// The figure in words.
    pub text: String,
}

/// Sources that do not depend on each other: a cause that shows in two of them is hardly an error
/// of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    /// Our clock around each operation, and what follows from it.
    Clock,
    /// Sessions sampled on the server.
    Samples,
    /// Counters of server, pooler, application or cache.
    Counters,
    /// CPU, memory and limits, as the kernel counts them.
    Kernel,
    /// The disk, measured by itself.
    Disk,
    /// How the load was set up.
    Levels,
}

impl Finding {
    /// Cleared by this figure.
    pub(crate) fn cleared(text: impl Into<String>) -> Self {
        Self { text: text.into(), candidate: None }
    }

    /// It may be what limits.
    pub(crate) fn suspect(text: String, candidate: Candidate) -> Self {
        Self { text, candidate: Some(candidate) }
    }
}

impl Candidate {
    /// How many sources speak for it.
    pub(crate) fn signals(&self) -> usize {
        self.evidence.iter().map(|clue| clue.signal).collect::<BTreeSet<_>>().len()
    }
}

impl Signal {
    /// A figure of this source.
    pub(crate) fn says(self, text: impl Into<String>) -> Clue {
        Clue { signal: self, text: text.into() }
    }
}

impl Reading {
    /// Whether the machine has no CPU left.
    pub(crate) fn cpu_is_full(&self) -> bool {
        self.cpu.is_some_and(|cpu| cpu >= CPU_FULL)
    }

    /// Whether the server uses all the CPU that its own limit allows.
    pub(crate) fn server_at_limit(&self) -> bool {
        self.at_limit("postgres")
    }

    /// Whether a process uses all the CPU that its own limit allows.
    pub(crate) fn at_limit(&self, process: &str) -> bool {
        let Some(seen) = self.seen() else { return false };
        seen.fullness(process).is_some_and(|full| full >= CPU_FULL)
            || seen.held_back(process) >= THROTTLED
    }

    /// Whether a process uses all the CPU that somebody allows it. One that could use no more than a core
    /// is left out: on a full machine it would be no faster with more of them.
    pub(crate) fn at_quota(&self, process: &str) -> bool {
        let Some(seen) = self.seen() else { return false };
        seen.quota_used(process).is_some_and(|used| used >= CPU_FULL)
            || seen.held_back(process) >= THROTTLED
    }

    /// Whether neither the machine nor the server has CPU left.
    pub(crate) fn no_cpu_left(&self) -> bool {
        self.cpu_is_full() || self.server_at_limit()
    }

    /// `CPU 35 % busy`, when it is known and not full: evidence for every cause that is a wait.
    pub(crate) fn idle_cpu(&self) -> Option<Clue> {
        let cpu = self.cpu.filter(|cpu| *cpu < CPU_FULL && !self.server_at_limit())?;
        Some(Signal::Kernel.says(format!("CPU {:.0} % busy: it does not limit", cpu * 100.0)))
    }

    /// What an operation is called: it is a request where an application answers it.
    pub(crate) fn operation(&self) -> &'static str {
        if self.requests { "request" } else { "operation" }
    }

    /// A process's CPU in words.
    pub(crate) fn cpu_text(&self, name: &str) -> Option<String> {
        let seen = self.seen()?;
        let process = seen.process(name)?;
        let used = significant(seen.cpus(name)?, 2);
        let mut text = match process.cpus {
            Some(cpus) => format!("{name} used {used} of its {} CPUs", significant(cpus, 2)),
            None => format!("{name} used {used} CPUs"),
        };
        let each = significant(seen.each_ms(process.cpu_s?), 2);
        text.push_str(&format!(", {each} ms for each {}", self.operation()));
        if let Some(share) = process.throttled_share {
            text.push_str(&format!(", and was held back in {:.0} % of periods", share * 100.0));
        }
        Some(text)
    }

    /// A part of an operation, with its share of the response time.
    pub(crate) fn share_of(&self, ms: f64) -> f64 {
        (ms / self.service_ms).clamp(0.0, 1.0)
    }
}

/// `10.0 ms of 15.0 ms (67 %)`.
pub(crate) fn part(part_ms: f64, whole_ms: f64) -> String {
    let share = (part_ms / whole_ms).clamp(0.0, 1.0) * 100.0;
    format!("{} ms of {} ms ({share:.0} %)", significant(part_ms, 3), significant(whole_ms, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_rule_explains_itself() {
        let names: BTreeSet<_> = RULES.iter().map(|r| r.bottleneck).collect();
        let causes: BTreeSet<_> = RULES.iter().map(|r| r.cause).collect();
        assert_eq!((names.len(), causes.len()), (RULES.len(), RULES.len()));
        for rule in RULES {
            let page = &rule.page;
            let texts = [page.signature, page.evidence, page.counter_evidence, page.plant];
            assert!(texts.iter().all(|text| text.len() > 10), "{}", rule.bottleneck);
            assert!(!page.advice.is_empty(), "{}", rule.bottleneck);
            for other in rule.shows_as {
                assert!(names.contains(other) && *other != rule.bottleneck, "{other}");
            }
        }
    }
}
