use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use pinchpoint_measure::{Latency, PHASES, Phase};

use crate::slowest::Slowest;
use crate::{Probe, SlowOperation};

/// Values below 64 × 2,048 ns = 131 µs are kept to 64 ns, larger ones to three significant digits.
const LOWEST_NS: u64 = 64;
/// Longer times are recorded as this one.
const HIGHEST_NS: u64 = 100_000_000_000;

/// The distributions of one slice of time: response, statement, and each phase, in nanoseconds.
///
/// The memory is fixed when it is made (about 2 MB) and does not depend on how much is recorded.
#[derive(Debug, Clone)]
pub struct Histograms {
    response: Histogram<u64>,
    statement: Histogram<u64>,
    phases: Vec<Histogram<u64>>,
    /// Response times by kind of operation, where there are several.
    labels: Vec<Distribution>,
    sums: Sums,
    slowest: Slowest,
}

/// Response times of one kind of operation, or of some kinds together.
#[derive(Debug, Clone)]
pub struct Distribution {
    response: Histogram<u64>,
    sum_ns: u64,
}

impl Distribution {
    /// Operations recorded.
    pub fn operations(&self) -> u64 {
        self.response.len()
    }

    /// Mean and percentiles.
    pub fn latency_ms(&self) -> Latency {
        latency(&self.response, self.sum_ns)
    }

    /// The shortest in milliseconds; 0 without an operation.
    pub fn min_ms(&self) -> f64 {
        if self.response.is_empty() { 0.0 } else { self.response.min() as f64 / 1e6 }
    }

    /// Standard deviation in milliseconds; 0 without an operation.
    pub fn stddev_ms(&self) -> f64 {
        if self.response.is_empty() { 0.0 } else { self.response.stdev() / 1e6 }
    }

    /// A quantile (0 to 1) in milliseconds; 0 without an operation.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let response = &self.response;
        if response.is_empty() { 0.0 } else { response.value_at_quantile(quantile) as f64 / 1e6 }
    }
}

/// Exact sums beside the histograms, for means and shares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    operations: u64,
    response_ns: u64,
    statement_ns: u64,
    phases_ns: [u64; PHASES.len()],
    /// Execute and commit of the operations that told them apart.
    split_execute_ns: u64,
    split_commit_ns: u64,
    /// Execute (commit included) of the others.
    unsplit_execute_ns: u64,
}

impl Histograms {
    /// Empty histograms.
    pub fn new() -> Self {
        Self::with_labels(1)
    }

    /// Empty histograms for operations of so many kinds.
    pub fn with_labels(labels: usize) -> Self {
        let histogram = empty();
        Self {
            response: histogram.clone(),
            statement: histogram.clone(),
            labels: match labels {
                0 | 1 => Vec::new(),
                several => vec![Distribution { response: histogram.clone(), sum_ns: 0 }; several],
            },
            phases: vec![histogram; PHASES.len()],
            sums: Sums::default(),
            slowest: Slowest::new(),
        }
    }

    /// Records one successful operation, answered at `ended`. It allocates nothing.
    pub fn record(&mut self, response: Duration, ended: Instant, probe: &Probe) {
        self.slowest.offer(response, ended, probe);
        let response = nanos(response);
        let statement = probe.statement_nanos();
        self.response.saturating_record(response);
        self.statement.saturating_record(statement);
        if let Some(own) = self.labels.get_mut(usize::from(probe.label())) {
            own.response.saturating_record(response);
            own.sum_ns += response;
        }
        let sums = &mut self.sums;
        sums.operations += 1;
        sums.response_ns += response;
        sums.statement_ns += statement;
        for phase in PHASES {
            let time = probe.nanos(phase);
            if time == 0 {
                continue;
            }
            sums.phases_ns[phase.index()] += time;
            let told_apart = probe.is_split() || !matches!(phase, Phase::Execute | Phase::Commit);
            if told_apart {
                self.phases[phase.index()].saturating_record(time);
            }
        }
        if probe.is_split() {
            sums.split_execute_ns += probe.nanos(Phase::Execute);
            sums.split_commit_ns += probe.nanos(Phase::Commit);
        } else {
            sums.unsplit_execute_ns += probe.nanos(Phase::Execute);
        }
    }

    /// Adds what another set recorded.
    pub fn add(&mut self, other: &Self) {
        // Equal bounds on both sides, so adding cannot fail.
        let _ = self.response.add(&other.response);
        let _ = self.statement.add(&other.statement);
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            if !theirs.is_empty() {
                let _ = mine.add(theirs);
            }
        }
        for (mine, theirs) in self.labels.iter_mut().zip(&other.labels) {
            let _ = mine.response.add(&theirs.response);
            mine.sum_ns += theirs.sum_ns;
        }
        self.slowest.add(&other.slowest);
        let (a, b) = (&mut self.sums, &other.sums);
        a.operations += b.operations;
        a.response_ns += b.response_ns;
        a.statement_ns += b.statement_ns;
        a.split_execute_ns += b.split_execute_ns;
        a.split_commit_ns += b.split_commit_ns;
        a.unsplit_execute_ns += b.unsplit_execute_ns;
        for (mine, theirs) in a.phases_ns.iter_mut().zip(b.phases_ns) {
            *mine += theirs;
        }
    }

    /// Forgets everything, keeping the memory.
    pub fn reset(&mut self) {
        for histogram in
            [&mut self.response, &mut self.statement].into_iter().chain(&mut self.phases)
        {
            if !histogram.is_empty() {
                histogram.reset();
            }
        }
        for own in &mut self.labels {
            own.response.reset();
            own.sum_ns = 0;
        }
        self.sums = Sums::default();
        self.slowest.clear();
    }

    /// The slowest operations, in no order, and whether there may have been more as slow as the
    /// fastest of them.
    pub fn slowest(&self) -> (impl Iterator<Item = &SlowOperation>, bool) {
        (self.slowest.iter(), self.slowest.is_full())
    }

    /// Operations recorded.
    pub const fn operations(&self) -> u64 {
        self.sums.operations
    }

    /// Response times, from the intended start.
    pub fn response_ms(&self) -> Latency {
        latency(&self.response, self.sums.response_ns)
    }

    /// A quantile (0 to 1) of the response time, in milliseconds; 0 without an operation.
    pub fn response_quantile_ms(&self, quantile: f64) -> f64 {
        let response = &self.response;
        if response.is_empty() { 0.0 } else { response.value_at_quantile(quantile) as f64 / 1e6 }
    }

    /// Standard deviation of the response time in milliseconds; 0 without an operation.
    pub fn response_stddev_ms(&self) -> f64 {
        if self.response.is_empty() { 0.0 } else { self.response.stdev() / 1e6 }
    }

    /// Times of the statement alone.
    pub fn statement_ms(&self) -> Latency {
        latency(&self.statement, self.sums.statement_ns)
    }

    /// Response times of the kinds of operation with these numbers; of all operations when there is
    /// only one kind.
    pub fn kinds(&self, labels: Range<usize>) -> Distribution {
        if self.labels.is_empty() {
            return Distribution { response: self.response.clone(), sum_ns: self.sums.response_ns };
        }
        let mut sum = Distribution { response: empty(), sum_ns: 0 };
        for own in self.labels.iter().skip(labels.start).take(labels.len()) {
            // Equal bounds on both sides, so adding cannot fail.
            let _ = sum.response.add(&own.response);
            sum.sum_ns += own.sum_ns;
        }
        sum
    }

    /// Mean time of a phase over all operations, in milliseconds. Where only some operations told
    /// execute from commit, their share is applied to the others.
    pub fn phase_mean_ms(&self, phase: Phase) -> f64 {
        let sums = &self.sums;
        if sums.operations == 0 {
            return 0.0;
        }
        let split = sums.split_execute_ns + sums.split_commit_ns;
        let commit_share =
            if split == 0 { 0.0 } else { sums.split_commit_ns as f64 / split as f64 };
        let unsplit = sums.unsplit_execute_ns as f64;
        let total = match phase {
            Phase::Execute => sums.split_execute_ns as f64 + unsplit * (1.0 - commit_share),
            Phase::Commit => sums.split_commit_ns as f64 + unsplit * commit_share,
            other => sums.phases_ns[other.index()] as f64,
        };
        total / sums.operations as f64 / 1e6
    }

    /// The distributions by name, for a histogram log: `response`, `statement`, and the phases.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        [("response", &self.response), ("statement", &self.statement)]
            .into_iter()
            .chain(PHASES.iter().map(|p| p.name()).zip(&self.phases))
    }
}

impl Default for Histograms {
    fn default() -> Self {
        Self::new()
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, 3)
        .or_else(|_| Histogram::new(3))
        .unwrap_or_else(|_| unreachable!("constant bounds and three digits are valid"))
}

fn latency(histogram: &Histogram<u64>, sum_ns: u64) -> Latency {
    if histogram.is_empty() {
        return Latency::default();
    }
    let ms = |ns: u64| ns as f64 / 1e6;
    Latency {
        avg: sum_ns as f64 / histogram.len() as f64 / 1e6,
        p50: ms(histogram.value_at_quantile(0.50)),
        p90: ms(histogram.value_at_quantile(0.90)),
        p95: ms(histogram.value_at_quantile(0.95)),
        p99: ms(histogram.value_at_quantile(0.99)),
        max: ms(histogram.max()),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(HIGHEST_NS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probe(execute_us: u64, commit_us: u64, split: bool) -> Probe {
        let mut probe = Probe::new();
        probe.add(Phase::Execute, Duration::from_micros(execute_us));
        probe.add(Phase::Commit, Duration::from_micros(commit_us));
        if split {
            probe.split();
        }
        probe
    }

    #[test]
    fn the_commit_share_of_some_operations_stands_for_all() {
        let mut h = Histograms::new();
        h.record(Duration::from_micros(400), Instant::now(), &probe(100, 300, true));
        h.record(Duration::from_micros(800), Instant::now(), &probe(800, 0, false));
        assert!((h.phase_mean_ms(Phase::Commit) - 0.45).abs() < 1e-9);
        assert!((h.phase_mean_ms(Phase::Execute) - 0.15).abs() < 1e-9);
        assert!((h.statement_ms().avg - 0.6).abs() < 1e-9);
    }

    #[test]
    fn percentiles_keep_three_digits_and_the_maximum_is_bounded() {
        let mut h = Histograms::new();
        for us in 1..=1000 {
            h.record(Duration::from_micros(us), Instant::now(), &probe(us, 0, true));
        }
        let response = h.response_ms();
        assert!((response.p50 - 0.5).abs() < 0.001, "{response:?}");
        assert!((response.p99 - 0.99).abs() < 0.001, "{response:?}");
        h.record(Duration::from_secs(5000), Instant::now(), &Probe::new());
        assert!((h.response_ms().max - 1e5).abs() < 100.0, "{:?}", h.response_ms());
    }

    #[test]
    fn kinds_of_operations_are_told_apart_and_together() {
        let mut h = Histograms::with_labels(3);
        for (label, ms) in [(0, 1), (1, 2), (1, 4), (2, 9), (7, 50)] {
            let mut probe = Probe::new();
            probe.set_label(label);
            h.record(Duration::from_millis(ms), Instant::now(), &probe);
        }
        let of = |labels: Range<usize>| {
            let kinds = h.kinds(labels);
            (kinds.operations(), kinds.latency_ms().avg, kinds.min_ms().round())
        };
        assert_eq!(of(1..2), (2, 3.0, 2.0));
        assert_eq!(of(0..3), (4, 4.0, 1.0));
        assert_eq!(of(3..9), (0, 0.0, 0.0));
        let mut one = Histograms::new();
        one.record(Duration::from_millis(2), Instant::now(), &Probe::new());
        assert_eq!(one.kinds(0..1).operations(), 1);
    }

    proptest! {
        // However the operations are split over threads and intervals, the total is the same.
        #[test]
        fn adding_is_a_monoid(times in prop::collection::vec((1u64..2_000_000, 0usize..4), 1..200)) {
            let at = Instant::now();
            let mut whole = Histograms::new();
            let mut parts = vec![Histograms::new(); 4];
            for (us, part) in &times {
                let p = probe(*us / 2, *us / 2, us % 3 == 0);
                whole.record(Duration::from_micros(*us), at, &p);
                parts[*part].record(Duration::from_micros(*us), at, &p);
            }
            let mut sum = Histograms::new();
            for part in &parts {
                sum.add(part);
            }
            prop_assert_eq!(sum.sums, whole.sums);
            for ((_, a), (_, b)) in sum.named().zip(whole.named()) {
                prop_assert_eq!(a, b);
            }
        }
    }
}
