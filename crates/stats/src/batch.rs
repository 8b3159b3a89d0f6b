use crate::Interval;
use crate::student::student_t_for;

/// Batches kept at least, once there are as many values; twice as many are kept at most.
const BATCHES: usize = 16;
/// Batches below which merging further would cost more in degrees of freedom than it gains.
const FEWEST: usize = 6;
/// Lag-1 autocorrelation of batch means above which they count as dependent, in standard errors of
/// the independent case: the 90 % point of the normal distribution, as in Fishman's LABATCH.
const DEPENDENT: f64 = 1.282;

/// The method of batch means: an interval for the mean of one correlated series, such as the
/// throughput of a trial's slices.
///
/// Neighbouring slices of a trial are not independent, so the plain standard error is too small.
/// Means of long enough batches nearly are (Law & Kelton, *Simulation Modeling and Analysis*,
/// section 9.5.3). Memory is bounded: when 32 batches are full, pairs are merged and batches
/// become twice as long. For the interval, pairs are merged further while the lag-1
/// autocorrelation of the batch means shows (Fishman 1978), down to 6 batches.
#[derive(Debug, Clone)]
pub struct BatchMeans {
    /// Sums of the full batches, oldest first.
    sums: Vec<f64>,
    /// Values in a full batch; a power of two.
    size: u64,
    /// Sum of the batch that is being filled, and how many values it has.
    open_sum: f64,
    open_len: u64,
}

impl Default for BatchMeans {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchMeans {
    /// No values yet.
    pub fn new() -> Self {
        Self { sums: Vec::with_capacity(2 * BATCHES), size: 1, open_sum: 0.0, open_len: 0 }
    }

    /// Takes the next value in order of time. Allocates nothing.
    pub fn push(&mut self, value: f64) {
        self.open_sum += value;
        self.open_len += 1;
        if self.open_len < self.size {
            return;
        }
        self.sums.push(self.open_sum);
        (self.open_sum, self.open_len) = (0.0, 0);
        if self.sums.len() == 2 * BATCHES {
            for i in 0..BATCHES {
                self.sums[i] = self.sums[2 * i] + self.sums[2 * i + 1];
            }
            self.sums.truncate(BATCHES);
            self.size *= 2;
        }
    }

    /// How many values it has taken.
    pub fn len(&self) -> u64 {
        self.sums.len() as u64 * self.size + self.open_len
    }

    /// Whether it has taken none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mean of all values; `None` without values or when one was not finite.
    pub fn mean(&self) -> Option<f64> {
        let total = self.sums.iter().sum::<f64>() + self.open_sum;
        let mean = total / self.len() as f64;
        mean.is_finite().then_some(mean)
    }

    /// 95 % confidence interval of the mean, by Student's t over the batches; `None` for fewer
    /// than two values or one that is not finite. Below some 200 values of a strongly correlated
    /// series it is too narrow, as any interval from so little would be.
    pub fn ci95(&self) -> Option<Interval> {
        let (error, batches) = self.error()?;
        Some(Interval::around(self.mean()?, student_t_for(batches, 1) * error))
    }

    /// Standard error of the mean, from the same batches; `None` when there is no interval.
    pub fn standard_error(&self) -> Option<f64> {
        self.error().map(|(error, _)| error).filter(|error| error.is_finite())
    }

    /// The error, and how many batches it comes from.
    fn error(&self) -> Option<(f64, usize)> {
        self.mean()?;
        let size = self.size as f64;
        let mut means: Vec<f64> = self.sums.iter().map(|sum| sum / size).collect();
        while means.len() >= 2 * FEWEST && dependent(&means) {
            // An odd last batch has no partner; the oldest is left out, the likeliest to remember
            // the warm-up.
            let odd = means.len() % 2;
            means = means[odd..].chunks_exact(2).map(|p| f64::midpoint(p[0], p[1])).collect();
        }
        Some((crate::std_dev(&means)? / (means.len() as f64).sqrt(), means.len()))
    }
}

/// Whether neighbouring batch means resemble each other more than chance allows.
fn dependent(means: &[f64]) -> bool {
    let n = means.len() as f64;
    lag_1_autocorrelation(means) > DEPENDENT * ((n - 2.0) / (n * n - 1.0)).sqrt()
}

/// Lag-1 autocorrelation, corrected at the ends so that it is 0 on average for independent values
/// (von Neumann's ratio; Fishman 1978, section 5.13); 0 for a constant series.
fn lag_1_autocorrelation(values: &[f64]) -> f64 {
    let (Some(centre), [first, .., last]) = (crate::mean(values), values) else {
        return 0.0;
    };
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    if squares <= 0.0 {
        return 0.0;
    }
    let steps: f64 = values.windows(2).map(|p| (p[1] - p[0]).powi(2)).sum();
    let ends = (first - centre).powi(2) + (last - centre).powi(2);
    let products = (2.0 * squares - ends - steps) / 2.0;
    (products + ends / 2.0) / squares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::noise::ar1;

    fn of(values: &[f64]) -> BatchMeans {
        let mut batches = BatchMeans::new();
        for value in values {
            batches.push(*value);
        }
        batches
    }

    /// Share of seeded AR(1) series of `n` values whose interval contains the true mean.
    fn coverage(n: usize, phi: f64) -> f64 {
        let mut rng = fastrand::Rng::with_seed(3);
        let runs = 2_000;
        let hits = (0..runs)
            .filter(|_| {
                let series = ar1(&mut rng, n, 1_000.0, 50.0, phi);
                of(&series).ci95().unwrap().contains(1_000.0)
            })
            .count();
        hits as f64 / f64::from(runs)
    }

    /// The coverage reached, nominal 0.95; the plain standard error would reach 0.74 at φ = 0.5
    /// and 0.49 at φ = 0.8, whatever the length. Short and strongly correlated series fall short,
    /// and this table says by how much.
    #[test]
    fn coverage_on_correlated_series() {
        let table = [
            (0.0, [(40, 0.95), (100, 0.96), (200, 0.95), (1_000, 0.96)]),
            (0.3, [(40, 0.91), (100, 0.94), (200, 0.94), (1_000, 0.96)]),
            (0.5, [(40, 0.88), (100, 0.92), (200, 0.94), (1_000, 0.95)]),
            (0.8, [(40, 0.73), (100, 0.88), (200, 0.92), (1_000, 0.95)]),
        ];
        for (phi, row) in table {
            for (n, expected) in row {
                let reached = coverage(n, phi);
                assert!((reached - expected).abs() < 0.015, "φ {phi}, n {n}: {reached}");
            }
        }
    }

    #[test]
    fn too_little_gives_no_interval() {
        assert_eq!(BatchMeans::new().mean(), None);
        assert!(BatchMeans::new().is_empty());
        assert_eq!(of(&[4.0]).mean(), Some(4.0));
        assert_eq!(of(&[4.0]).ci95(), None);
        assert_eq!(of(&[4.0, f64::NAN]).ci95(), None);
        assert_eq!(of(&[4.0, 4.0]).ci95(), Some(Interval { lo: 4.0, hi: 4.0 }));
        assert_eq!(of(&[4.0]).standard_error(), None);
        // Two values, 2 apart: their deviation is √2, and over √2 that is 1.
        assert!((of(&[3.0, 5.0]).standard_error().unwrap() - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_mean_is_the_plain_mean_and_memory_is_bounded(
            values in prop::collection::vec(-1e6..1e6_f64, 1..3_000),
        ) {
            let batches = of(&values);
            let plain = crate::mean(&values).unwrap();
            prop_assert!((batches.mean().unwrap() - plain).abs() <= 1e-6);
            prop_assert_eq!(batches.len(), values.len() as u64);
            prop_assert!(batches.sums.len() < 2 * BATCHES);
            prop_assert!(batches.sums.capacity() <= 2 * BATCHES);
            if let Some(ci) = batches.ci95() {
                prop_assert!(ci.contains(batches.mean().unwrap()));
            }
        }

        #[test]
        fn scales_with_the_unit(
            values in prop::collection::vec(1.0..1e6_f64, 2..300), exponent in -10..10_i32,
        ) {
            let factor = 2_f64.powi(exponent);
            let scaled: Vec<f64> = values.iter().map(|v| v * factor).collect();
            let (ci, big) = (of(&values).ci95().unwrap(), of(&scaled).ci95().unwrap());
            prop_assert_eq!((ci.lo * factor, ci.hi * factor), (big.lo, big.hi));
        }

        #[test]
        fn never_panics(values in prop::collection::vec(any::<f64>(), 0..100)) {
            let _ = of(&values).ci95();
        }
    }
}
