use std::time::Duration;

/// When operations are meant to start: a pure function of the index, so that threads (and later
/// machines) take slices of one plan that add up to it.
///
/// The rate is piecewise linear in time. An arrival process lays out points with unit rate (evenly
/// or with exponential gaps), and the inverse of the integrated rate maps them to time: time
/// rescaling of a Poisson process (Çınlar, *Introduction to Stochastic Processes*, 1975, ch. 4).
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pieces: Vec<Piece>,
    process: Process,
}

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Even gaps.
    Constant,
    /// Exponential gaps, from this seed.
    Poisson {
        /// Seed of the gaps.
        seed: u64,
    },
}

/// A stretch of time over which the rate goes linearly to a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    /// Its length.
    pub duration: Duration,
    /// Operations per second at its end.
    pub target_per_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    start_s: f64,
    length_s: f64,
    from_per_s: f64,
    to_per_s: f64,
    /// Arrivals expected before this piece.
    before: f64,
}

impl Piece {
    /// Integral of the rate over the first `t` seconds of the piece.
    fn arrivals_until(&self, t: f64) -> f64 {
        if self.length_s.is_finite() {
            let slope = (self.to_per_s - self.from_per_s) / self.length_s;
            self.from_per_s * t + 0.5 * slope * t * t
        } else {
            self.to_per_s * t
        }
    }

    /// The inverse of [`Piece::arrivals_until`].
    fn time_of(&self, arrivals: f64) -> f64 {
        if arrivals <= 0.0 {
            return 0.0;
        }
        if !self.length_s.is_finite() {
            return arrivals / self.to_per_s;
        }
        let slope = (self.to_per_s - self.from_per_s) / self.length_s;
        // The stable root of slope/2·t² + from·t − arrivals = 0.
        let root = (self.from_per_s * self.from_per_s + 2.0 * slope * arrivals).max(0.0).sqrt();
        let denominator = self.from_per_s + root;
        if denominator > 0.0 {
            (2.0 * arrivals / denominator).min(self.length_s)
        } else {
            self.length_s
        }
    }
}

impl Schedule {
    /// `per_s` operations a second, without end. The rate must be finite and above 0; anything
    /// else gives a schedule without arrivals.
    pub fn at_rate(per_s: f64, process: Process) -> Self {
        let mut schedule = Self { pieces: Vec::new(), process };
        schedule.hold(0.0, per_s, 0.0);
        schedule
    }

    /// Ramps from `from_per_s` through the stages one after the other; the last target is held.
    pub fn stages(from_per_s: f64, stages: &[Ramp], process: Process) -> Self {
        let mut schedule = Self { pieces: Vec::new(), process };
        let (mut start_s, mut from_per_s, mut before) = (0.0, from_per_s.max(0.0), 0.0);
        for stage in stages {
            let to_per_s = stage.target_per_s.max(0.0);
            let length_s = stage.duration.as_secs_f64();
            if length_s > 0.0 {
                let piece = Piece { start_s, length_s, from_per_s, to_per_s, before };
                before += piece.arrivals_until(length_s);
                start_s += length_s;
                schedule.pieces.push(piece);
            }
            from_per_s = to_per_s;
        }
        schedule.hold(start_s, from_per_s, before);
        schedule
    }

    fn hold(&mut self, start_s: f64, per_s: f64, before: f64) {
        if per_s.is_finite() && per_s > 0.0 {
            let length_s = f64::INFINITY;
            let piece = Piece { start_s, length_s, from_per_s: per_s, to_per_s: per_s, before };
            self.pieces.push(piece);
        }
    }

    /// The arrivals of slice `slice` of `of`: every `of`-th arrival, from the `slice`-th on.
    pub fn arrivals(&self, slice: usize, of: usize) -> Arrivals {
        let of = of.max(1);
        let rng = match self.process {
            Process::Constant => None,
            Process::Poisson { seed } => Some(fastrand::Rng::with_seed(seed)),
        };
        let mut arrivals = Arrivals {
            schedule: self.clone(),
            piece: 0,
            position: 0.0,
            rng,
            step: of,
            first: true,
        };
        arrivals.position = arrivals.advance(slice.min(of - 1));
        arrivals
    }
}

/// The arrivals of one slice of a schedule, in order, as time since the start.
#[derive(Debug, Clone)]
pub struct Arrivals {
    schedule: Schedule,
    piece: usize,
    position: f64,
    rng: Option<fastrand::Rng>,
    step: usize,
    first: bool,
}

impl Arrivals {
    /// The position, on the unit-rate axis, `count` arrivals further on.
    fn advance(&mut self, count: usize) -> f64 {
        match &mut self.rng {
            None => self.position + count as f64,
            Some(rng) => {
                let gaps: f64 = (0..count).map(|_| -(1.0 - rng.f64()).ln()).sum();
                self.position + gaps
            }
        }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.first {
            self.first = false;
        } else {
            self.position = self.advance(self.step);
        }
        loop {
            let piece = self.schedule.pieces.get(self.piece)?;
            let within = self.position - piece.before;
            let is_last = self.piece + 1 == self.schedule.pieces.len();
            if !piece.length_s.is_finite() || within <= piece.arrivals_until(piece.length_s) {
                let at = piece.start_s + piece.time_of(within.max(0.0));
                return Duration::try_from_secs_f64(at).ok();
            }
            if is_last {
                return None;
            }
            self.piece += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(arrivals: Arrivals, n: usize) -> Vec<f64> {
        arrivals.take(n).map(|d| d.as_secs_f64()).collect()
    }

    #[test]
    fn a_constant_rate_is_even_and_starts_at_once() {
        let schedule = Schedule::at_rate(200.0, Process::Constant);
        assert_eq!(seconds(schedule.arrivals(0, 1), 4), [0.0, 0.005, 0.01, 0.015]);
    }

    #[test]
    fn a_rate_that_is_none_has_no_arrivals() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Schedule::at_rate(rate, Process::Constant).arrivals(0, 1).next(), None);
        }
    }

    #[test]
    fn a_ramp_from_zero_has_the_integral_of_its_rate() {
        // 0 → 100/s over 10 s: 500 arrivals, the k-th at sqrt(2k/10).
        let ramp = Ramp { duration: Duration::from_secs(10), target_per_s: 100.0 };
        let schedule = Schedule::stages(0.0, &[ramp], Process::Constant);
        let times = seconds(schedule.arrivals(0, 1), 501);
        assert!((times[500] - 10.0).abs() < 1e-9, "{}", times[500]);
        assert!((times[125] - 5.0).abs() < 1e-9, "{}", times[125]);
    }

    #[test]
    fn stages_down_to_nothing_end() {
        let stages = [
            Ramp { duration: Duration::from_secs(1), target_per_s: 10.0 },
            Ramp { duration: Duration::from_secs(1), target_per_s: 0.0 },
        ];
        let schedule = Schedule::stages(10.0, &stages, Process::Constant);
        let times = seconds(schedule.arrivals(0, 1), 100);
        assert_eq!(times.len(), 16, "10 in the first second, 5 in the second, and the one at 0");
        assert!(times.iter().all(|t| *t <= 2.0));
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_spread_of_an_exponential() {
        let schedule = Schedule::at_rate(1000.0, Process::Poisson { seed: 7 });
        let times = seconds(schedule.arrivals(0, 1), 20_000);
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance =
            gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (gaps.len() - 1) as f64;
        assert!((mean * 1000.0 - 1.0).abs() < 0.03, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{variance}");
    }

    proptest! {
        #[test]
        fn slices_add_up_to_the_plan(
            rate in 1.0..5000.0f64, of in 1..9usize, poisson: bool, seed: u64, ramp in 0.0..5000.0f64,
        ) {
            let process = if poisson { Process::Poisson { seed } } else { Process::Constant };
            let stage = Ramp { duration: Duration::from_millis(300), target_per_s: ramp };
            let schedule = Schedule::stages(rate, &[stage], process);
            let whole: Vec<_> = schedule.arrivals(0, 1).take(200).collect();
            let mut parts: Vec<_> =
                (0..of).flat_map(|i| schedule.arrivals(i, of).take(200 / of + 1)).collect();
            parts.sort();
            parts.truncate(whole.len());
            // Sums of gaps are added in another order, so times agree to rounding only.
            for (a, b) in whole.iter().zip(&parts) {
                prop_assert!((a.as_secs_f64() - b.as_secs_f64()).abs() < 1e-6, "{:?} {:?}", a, b);
            }
        }

        #[test]
        fn arrivals_never_go_back(
            rate in prop_oneof![Just(0.0), 0.1..1e6f64], ramp in 0.0..1e6f64, seed: u64, poisson: bool,
        ) {
            let process = if poisson { Process::Poisson { seed } } else { Process::Constant };
            let stage = Ramp { duration: Duration::from_millis(50), target_per_s: ramp };
            let schedule = Schedule::stages(rate, &[stage, stage], process);
            let times: Vec<_> = schedule.arrivals(0, 1).take(500).collect();
            prop_assert!(times.windows(2).all(|w| w[0] <= w[1]));
        }
    }
}
