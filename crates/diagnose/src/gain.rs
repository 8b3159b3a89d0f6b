//! What removing a part of an operation's time could give.

use pinchpoint_measure::Phase;

use crate::reading::{Reading, positive};

/// The most that is promised where nothing bounds it.
const MOST: f64 = 100.0;
/// Processes that may have a limit of their own.
const LIMITED: [&str; 3] = ["postgres", "app", "pgbouncer"];
/// Headroom where CPU was not measured, and the most that it is given where it was: what else
/// would limit at ten times the throughput has not been seen.
const HEADROOM: f64 = 10.0;

impl Reading {
    /// Factors by which throughput could change, lowest and highest, if `removed_ms` of an operation
    /// were gone and with it the share `cpu_saved` (0 to 1) of the CPU that it takes.
    ///
    /// With N users, a cycle of C = R + Z and a demand D for the busiest processor, throughput
    /// after the change is at most N ÷ C′ and 1 ÷ D′ (asymptotic bounds), and at least
    /// N ÷ (C′ + (N − 1)·D′) (balanced job bound, without its gain from delays). Zahorjan, Sevcik,
    /// Eager & Galler 1982; Lazowska et al., *Quantitative System Performance*, chapter 5. The
    /// measured C′ already holds some queueing for the processor, so the lower bound stays one.
    pub(crate) fn gain(&self, removed_ms: f64, cpu_saved: f64) -> [f64; 2] {
        let cycle = self.cycle_ms;
        let left = (cycle - removed_ms.max(0.0)).max(cycle / MOST);
        let kept = (1.0 - cpu_saved).clamp(1.0 / MOST, 1.0);
        let hi = (cycle / left).min(self.headroom() / kept).clamp(1.0, MOST);
        let lo = self
            .processor_ms()
            .map_or(1.0, |demand| cycle / (left + (self.users - 1.0) * demand * kept));
        let lo = positive(lo).unwrap_or(1.0).clamp(1.0, hi);
        [lo, hi]
    }

    /// The same for a share of the service time, which takes no CPU with it.
    pub(crate) fn gain_without(&self, share: f64) -> [f64; 2] {
        self.gain(share.clamp(0.0, 1.0) * self.service_ms, 0.0)
    }

    /// The same for a part of the time that a connection is held: where users wait for connections, X
    /// is at most m ÷ hold, so that the wait shrinks with the hold.
    pub(crate) fn gain_held(&self, ms: f64) -> [f64; 2] {
        self.gain(self.held_share(ms) * self.service_ms, 0.0)
    }

    /// A part of the time that a connection is held, as a share of that time.
    pub(crate) fn held_share(&self, ms: f64) -> f64 {
        let queued = self.phase_ms(|p| p == Phase::Checkout);
        (ms / (self.service_ms - queued).max(self.service_ms / MOST)).clamp(0.0, 1.0)
    }

    /// By how much throughput could rise before the machine, or a process with a limit of its own,
    /// has no CPU left; between 1 and 10.
    pub(crate) fn headroom(&self) -> f64 {
        self.headroom_without("")
    }

    /// The same as if a process had no limit of its own.
    pub(crate) fn headroom_without(&self, process: &str) -> f64 {
        let limits = LIMITED.into_iter().filter(|name| *name != process);
        let own = limits.filter_map(|name| positive(self.seen()?.fullness(name)?));
        let rooms = own.chain(self.cpu).map(|used| 1.0 / used);
        rooms.fold(HEADROOM, f64::min).max(1.0)
    }

    /// CPU of an operation on the processor that is busiest for it, in milliseconds: all cores
    /// together count as one that is as fast as they are.
    fn processor_ms(&self) -> Option<f64> {
        let machine = self.cpu_ms(self.cores).map(|ms| ms / self.cores);
        let limited = |name: &str| {
            let seen = self.seen()?;
            let process = seen.process(name)?;
            positive(seen.each_ms(process.cpu_s?) / process.cpus?)
        };
        let own = LIMITED.into_iter().filter_map(limited);
        own.chain(machine).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;
    use crate::sample::Sample;

    fn reading(sample: &Sample) -> Reading {
        Reading::of(&sample.variant(), Machine { cpus: 2, fsync_us: None }.cores()).unwrap()
    }

    #[test]
    fn one_user_gains_what_is_removed_as_far_as_there_is_cpu() {
        // 5.70 ms, of which 2.85 ms are removed; 15 % of two cores are 1.71 ms of one.
        let one = reading(&Sample::rung_2());
        let [lo, hi] = one.gain_without(0.5);
        assert!((hi - 2.0).abs() < 1e-9 && (lo - 2.0).abs() < 1e-9, "{lo} {hi}");
        let [_, hi] = one.gain_without(1.0);
        assert!((hi - 1.0 / 0.15).abs() < 0.01, "{hi}");
    }

    #[test]
    fn full_cores_leave_nothing_to_gain_unless_cpu_goes_as_well() {
        let full = reading(&Sample::rung_2b());
        let [lo, hi] = full.gain_without(0.6);
        assert!(lo >= 1.0 && hi < 1.06, "{lo} {hi}");
        let [lo, hi] = full.gain(0.6 * full.service_ms, 0.5);
        assert!((hi - 2.0 / 0.95).abs() < 0.01 && lo > 1.0 && lo < hi, "{lo} {hi}");
    }
}
