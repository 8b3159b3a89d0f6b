use crate::regression::{fitted_change, fitted_change_error};
use crate::summary::{all_finite, mean};

/// How many standard errors a change may have before it is not noise. Above 2, because the noise
/// itself is estimated from a few slices, and because the test is repeated as slices come in.
const NOISE_FACTOR: f64 = 3.0;

/// Says when a series of throughputs, one for each slice of time, has become steady.
///
/// The most recent `window` slices are steady when a line fitted through them changes by no more
/// than `tolerance` of their mean, or no more than their noise explains, and when their two halves
/// agree in the same sense. The noise is estimated from successive differences (von Neumann 1941),
/// here their mean absolute value × √π ÷ 2, which a trend or a single step hardly touches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steadiness {
    /// Slices looked at; 8 to 16 are sensible, fewer than 4 never settle.
    pub window: usize,
    /// Change over the window that is allowed, as a share of the mean.
    pub tolerance: f64,
}

impl Default for Steadiness {
    /// 12 slices, 5 %.
    fn default() -> Self {
        Self { window: 12, tolerance: 0.05 }
    }
}

impl Steadiness {
    /// Whether the end of this series (oldest slice first) is steady. A server that answers
    /// nothing is not.
    pub fn is_steady(&self, slices: &[f64]) -> bool {
        if self.window < 4 || slices.len() < self.window {
            return false;
        }
        let recent = &slices[slices.len() - self.window..];
        if all_finite(recent).is_none() {
            return false;
        }
        let (early, late) = recent.split_at(self.window / 2);
        let (Some(level), Some(early_mean), Some(late_mean)) =
            (mean(recent), mean(early), mean(late))
        else {
            return false;
        };
        if level <= 0.0 {
            return false;
        }
        let allowed = self.tolerance * level;
        let noise = NOISE_FACTOR * noise(recent);
        let halves_error = (1.0 / early.len() as f64 + 1.0 / late.len() as f64).sqrt();
        fitted_change(recent).abs() <= allowed.max(noise * fitted_change_error(self.window))
            && (late_mean - early_mean).abs() <= allowed.max(noise * halves_error)
    }
}

/// Standard deviation of a slice about a slowly moving level.
fn noise(values: &[f64]) -> f64 {
    let steps = values.len().saturating_sub(1).max(1) as f64;
    let total: f64 = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    // E|a − b| = 2 σ ÷ √π for independent normal values.
    total / steps * std::f64::consts::PI.sqrt() / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::noise::normal;

    const TRIALS: u32 = 1_000;

    /// Share of seeded trials that are called steady.
    fn steady_share(steadiness: Steadiness, make: impl Fn(&mut fastrand::Rng) -> Vec<f64>) -> f64 {
        let mut rng = fastrand::Rng::with_seed(11);
        let steady = (0..TRIALS).filter(|_| steadiness.is_steady(&make(&mut rng))).count();
        steady as f64 / f64::from(TRIALS)
    }

    fn windows() -> impl Iterator<Item = Steadiness> {
        [8, 12, 16].into_iter().map(|window| Steadiness { window, ..Steadiness::default() })
    }

    #[test]
    fn a_constant_with_noise_is_steady() {
        for steadiness in windows() {
            for sd in [0.0, 0.01, 0.05, 0.2] {
                let share = steady_share(steadiness, |rng| {
                    (0..20).map(|_| 1_000.0 * (1.0 + sd * normal(rng))).collect()
                });
                assert!(share >= 0.95, "window {}, noise {sd}: {share}", steadiness.window);
            }
        }
    }

    #[test]
    fn a_ramp_of_30_percent_is_not() {
        for steadiness in windows() {
            let rise = 300.0 / steadiness.window as f64;
            for sd in [0.0, 0.01, 0.04] {
                let share = steady_share(steadiness, |rng| {
                    (0..steadiness.window)
                        .map(|i| 850.0 + rise * i as f64 + 1_000.0 * sd * normal(rng))
                        .collect()
                });
                assert!(share <= 0.05, "window {}, noise {sd}: {share}", steadiness.window);
            }
        }
    }

    #[test]
    fn a_step_counts_until_it_has_left_the_window() {
        for steadiness in windows() {
            for step in [-0.5, -0.3, 0.3, 1.0] {
                let mut slices = vec![1_000.0; 20];
                assert!(steadiness.is_steady(&slices));
                for inside in 1..steadiness.window {
                    slices.push(1_000.0 * (1.0 + step));
                    assert!(!steadiness.is_steady(&slices), "step {step}, {inside} slices ago");
                }
                slices.push(1_000.0 * (1.0 + step));
                assert!(steadiness.is_steady(&slices));
            }
        }
    }

    #[test]
    fn silence_nonsense_and_short_series_are_not_steady() {
        let steadiness = Steadiness::default();
        assert!(!steadiness.is_steady(&[0.0; 30]));
        assert!(!steadiness.is_steady(&[1_000.0; 11]));
        assert!(!steadiness.is_steady(&[f64::NAN; 30]));
        assert!(!steadiness.is_steady(&[]));
        assert!(!Steadiness { window: 0, ..steadiness }.is_steady(&[1.0; 30]));
        let mut dies = vec![1_000.0; 20];
        dies.push(0.0);
        assert!(!steadiness.is_steady(&dies));
    }

    proptest! {
        #[test]
        fn the_unit_does_not_matter(
            slices in prop::collection::vec(900.0..1_100.0_f64, 12..30), exponent in -20..20_i32,
        ) {
            let steadiness = Steadiness::default();
            let scaled: Vec<f64> = slices.iter().map(|s| s * 2_f64.powi(exponent)).collect();
            prop_assert_eq!(steadiness.is_steady(&slices), steadiness.is_steady(&scaled));
        }

        #[test]
        fn never_panics(slices in prop::collection::vec(any::<f64>(), 0..40), window in 0..40_usize) {
            let _ = Steadiness { window, tolerance: 0.05 }.is_steady(&slices);
        }
    }
}
