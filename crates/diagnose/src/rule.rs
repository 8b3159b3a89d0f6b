//! One cause a file. To add one, copy the shortest neighbour and register it in [`RULES`].

mod client_cpu;
mod connection;
mod memory;
mod network;
mod pool;
mod round_trips;
mod server_cpu;
mod server_wait;
mod wal;

use crate::Machine;
use crate::reading::Reading;

/// Every cause that is looked at, in the order in which it is shown.
pub(crate) const RULES: [Rule; 9] = [
    client_cpu::RULE,
    server_cpu::RULE,
    memory::RULE,
    network::RULE,
    connection::RULE,
    pool::RULE,
    round_trips::RULE,
    wal::RULE,
    server_wait::RULE,
];

/// Share of an operation's time from which a phase may be what limits.
pub(crate) const LARGE_SHARE: f64 = 0.3;
/// Share of the machine's CPU from which there is no room left. Not 1: the scheduler's ticks and
/// short waits for a lock leave a few per cent idle on a machine that can do no more.
pub(crate) const CPU_FULL: f64 = 0.85;

/// One candidate cause.
pub(crate) struct Rule {
    /// Stable name in `result.json`.
    pub bottleneck: &'static str,
    /// What people call it.
    pub cause: &'static str,
    /// Looks at the figures.
    pub examine: fn(&Reading, &Machine) -> Finding,
}

/// What a rule found.
pub(crate) struct Finding {
    /// The figure that decides.
    pub text: String,
    /// Set when it may be what limits.
    pub candidate: Option<Candidate>,
}

/// A cause that may be what limits.
pub(crate) struct Candidate {
    /// Share of an operation's time that it takes, 0 to 1.
    pub share: f64,
    /// Factor by which throughput could rise at most if it were gone, at least 1.
    pub gain: f64,
    /// What speaks for it.
    pub evidence: Vec<String>,
    /// What speaks against it.
    pub against: Vec<String>,
}

impl Finding {
    /// Cleared by this figure.
    pub(crate) fn cleared(text: String) -> Self {
        Self { text, candidate: None }
    }
}

impl Reading {
    /// Whether the machine has no CPU left.
    pub(crate) fn cpu_is_full(&self) -> bool {
        self.cpu.is_some_and(|cpu| cpu >= CPU_FULL)
    }

    /// The gain of removing a share of an operation's time: R ÷ (R − part), as far as CPU allows.
    pub(crate) fn gain_without(&self, share: f64) -> f64 {
        (1.0 / (1.0 - share).max(0.1)).min(self.headroom())
    }

    /// `CPU 35 % busy`, when it is known and not full: evidence for every cause that is a wait.
    pub(crate) fn idle_cpu(&self) -> Option<String> {
        self.cpu
            .filter(|cpu| *cpu < CPU_FULL)
            .map(|cpu| format!("CPU {:.0} % busy: it does not limit", cpu * 100.0))
    }
}

/// `10.0 ms of 15.0 ms (67 %)`.
pub(crate) fn part(part_ms: f64, whole_ms: f64) -> String {
    use pinchpoint_measure::significant;
    let share = (part_ms / whole_ms).clamp(0.0, 1.0) * 100.0;
    format!("{} ms of {} ms ({share:.0} %)", significant(part_ms, 3), significant(whole_ms, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = RULES.iter().map(|r| r.bottleneck).collect();
        let causes: std::collections::BTreeSet<_> = RULES.iter().map(|r| r.cause).collect();
        assert_eq!((names.len(), causes.len()), (RULES.len(), RULES.len()));
    }
}
