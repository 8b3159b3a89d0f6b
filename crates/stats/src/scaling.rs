//! How throughput grows with what is shared out: two models, and which of them the figures speak for.

use crate::summary::all_finite;

/// A number of connections (or users, or cores), and the throughput with it; both above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalingPoint {
    /// How many.
    pub size: f64,
    /// Operations per second.
    pub rate: f64,
}

/// A model of throughput over size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalingModel {
    /// `min(slope · m, cap)`: each adds the same until something else is full.
    HardCap {
        /// Throughput that each adds.
        slope: f64,
        /// Throughput that is not exceeded.
        cap: f64,
    },
    /// `λ·m ÷ (1 + σ·(m − 1) + κ·m·(m − 1))`, the universal scalability law (Gunther, *Guerrilla
    /// Capacity Planning*, 2007, equation 4.31 with λ for the throughput of one).
    Usl {
        /// Throughput of one, λ.
        one: f64,
        /// Share of the work that only one can do at a time, σ.
        contention: f64,
        /// What each pair costs the other, κ.
        crosstalk: f64,
    },
}

/// A fitted model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalingFit {
    /// The model with its parameters.
    pub model: ScalingModel,
    /// Root of the mean square of (measured − fitted) ÷ measured.
    pub relative_error: f64,
    /// Akaike's information criterion, corrected for few points (Burnham & Anderson 2002, section
    /// 2.4); the smaller, the better.
    pub aicc: f64,
}

/// Fewer levels than this show no curve.
pub const FEWEST_LEVELS: usize = 6;

impl ScalingModel {
    /// The throughput that the model gives for a size.
    pub fn rate(&self, size: f64) -> f64 {
        match *self {
            Self::HardCap { slope, cap } => (slope * size).min(cap),
            Self::Usl { one, contention, crosstalk } => {
                let others = size - 1.0;
                one * size / (1.0 + contention * others + crosstalk * size * others)
            }
        }
    }

    /// The size from which more gives no more: where the cap is reached, or the law's maximum.
    /// `None` where the model grows for ever.
    pub fn knee(&self) -> Option<f64> {
        let knee = match *self {
            Self::HardCap { slope, cap } => cap / slope,
            Self::Usl { contention, crosstalk, .. } => ((1.0 - contention) / crosstalk).sqrt(),
        };
        knee.is_finite().then_some(knee)
    }

    const fn parameters(&self) -> f64 {
        match self {
            Self::HardCap { .. } => 2.0,
            Self::Usl { .. } => 3.0,
        }
    }
}

/// The model that the points speak for, of the two; `None` with fewer than [`FEWEST_LEVELS`] sizes,
/// or figures that cannot be.
pub fn fit_scaling(points: &[ScalingPoint]) -> Option<ScalingFit> {
    let mut sizes: Vec<f64> = points.iter().map(|p| p.size).collect();
    let rates: Vec<f64> = points.iter().map(|p| p.rate).collect();
    let possible = all_finite(&sizes).and(all_finite(&rates)).is_some();
    if !possible || points.iter().any(|p| p.size < 1.0 || p.rate <= 0.0) {
        return None;
    }
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    if sizes.len() < FEWEST_LEVELS {
        return None;
    }
    let fits = [hard_cap(points, &sizes), usl(points)];
    fits.into_iter()
        .flatten()
        .map(|model| judged(model, points))
        .filter(|fit| fit.aicc.is_finite())
        .min_by(|a, b| a.aicc.total_cmp(&b.aicc))
}

fn squares(model: &ScalingModel, points: &[ScalingPoint]) -> f64 {
    points.iter().map(|p| ((p.rate - model.rate(p.size)) / p.rate).powi(2)).sum()
}

fn judged(model: ScalingModel, points: &[ScalingPoint]) -> ScalingFit {
    let n = points.len() as f64;
    // A perfect fit would have an infinite likelihood; no measurement is better than this.
    let mean = (squares(&model, points) / n).max(1e-12);
    // The variance is a parameter too.
    let k = model.parameters() + 1.0;
    let aicc = n * mean.ln() + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0);
    ScalingFit { model, relative_error: mean.sqrt(), aicc }
}

/// Relative least squares for each way to part the points into a slope and a plateau.
fn hard_cap(points: &[ScalingPoint], sizes: &[f64]) -> Option<ScalingModel> {
    let parted = |last: f64| {
        let (mut mx, mut mm, mut one, mut sq) = (0.0, 0.0, 0.0, 0.0);
        for p in points {
            if p.size <= last {
                mx += p.size / p.rate;
                mm += (p.size / p.rate).powi(2);
            } else {
                one += 1.0 / p.rate;
                sq += p.rate.powi(-2);
            }
        }
        ScalingModel::HardCap { slope: mx / mm, cap: one / sq }
    };
    sizes[..sizes.len() - 1]
        .iter()
        .map(|last| parted(*last))
        .min_by(|a, b| squares(a, points).total_cmp(&squares(b, points)))
}

/// Relative least squares on m ÷ X = (1 + σ·(m − 1) + κ·m·(m − 1)) ÷ λ, which is linear; of the
/// solutions with one coefficient or more left out, the best whose coefficients are not negative.
fn usl(points: &[ScalingPoint]) -> Option<ScalingModel> {
    let columns = |size: f64| [1.0, size - 1.0, size * (size - 1.0)];
    let solve = |used: &[usize]| {
        let mut normal = vec![vec![0.0; used.len() + 1]; used.len()];
        for p in points {
            // A relative error of X is the same of m ÷ X.
            let (x, weight) = (columns(p.size), (p.rate / p.size).powi(2));
            for (row, i) in normal.iter_mut().zip(used) {
                for (cell, j) in row.iter_mut().zip(used) {
                    *cell += weight * x[*i] * x[*j];
                }
                row[used.len()] += weight * x[*i] * p.size / p.rate;
            }
        }
        let solution = eliminate(normal)?;
        let mut coefficients = [0.0; 3];
        used.iter().zip(solution).for_each(|(place, value)| coefficients[*place] = value);
        let [inverse, contention, crosstalk] = coefficients;
        let possible = inverse > 0.0 && contention >= 0.0 && crosstalk >= 0.0;
        possible.then(|| ScalingModel::Usl {
            one: 1.0 / inverse,
            contention: contention / inverse,
            crosstalk: crosstalk / inverse,
        })
    };
    [&[0, 1, 2][..], &[0, 1], &[0, 2], &[0]]
        .into_iter()
        .filter_map(solve)
        .min_by(|a, b| squares(a, points).total_cmp(&squares(b, points)))
}

/// Gauss's elimination with pivots; each row ends with its right side.
fn eliminate(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for column in 0..n {
        let pivot =
            (column..n).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        if rows[pivot][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        rows.swap(column, pivot);
        let pivot = rows[column].clone();
        for (at, row) in rows.iter_mut().enumerate() {
            if at != column {
                let factor = row[column] / pivot[column];
                row.iter_mut().zip(&pivot).for_each(|(cell, above)| *cell -= factor * above);
            }
        }
    }
    let solution: Vec<f64> = (0..n).map(|i| rows[i][n] / rows[i][i]).collect();
    all_finite(&solution).map(|()| solution)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::noise::normal;

    const SIZES: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0];

    fn sampled(model: ScalingModel, noise: f64, seed: u64) -> Vec<ScalingPoint> {
        let mut rng = fastrand::Rng::with_seed(seed);
        SIZES
            .iter()
            .map(|&size| {
                let rate = model.rate(size) * (1.0 + noise * normal(&mut rng));
                ScalingPoint { size, rate }
            })
            .collect()
    }

    #[test]
    fn a_curve_of_either_kind_is_found_again_under_noise() {
        let cap = ScalingModel::HardCap { slope: 900.0, cap: 5000.0 };
        let law = ScalingModel::Usl { one: 1000.0, contention: 0.08, crosstalk: 0.004 };
        for seed in 0..20 {
            let fit = fit_scaling(&sampled(cap, 0.02, seed)).unwrap();
            assert!(matches!(fit.model, ScalingModel::HardCap { .. }), "{fit:?}");
            let knee = fit.model.knee().unwrap();
            assert!((knee / cap.knee().unwrap() - 1.0).abs() < 0.05, "{fit:?}");
            let fit = fit_scaling(&sampled(law, 0.01, seed)).unwrap();
            assert!(matches!(fit.model, ScalingModel::Usl { .. }), "{fit:?}");
            let knee = fit.model.knee().unwrap();
            assert!((knee / law.knee().unwrap() - 1.0).abs() < 0.25, "{fit:?}");
            assert!(fit.relative_error < 0.03, "{fit:?}");
        }
    }

    #[test]
    fn too_few_levels_have_no_curve() {
        let points = sampled(ScalingModel::HardCap { slope: 1.0, cap: 3.0 }, 0.0, 1);
        assert_eq!(fit_scaling(&points[..FEWEST_LEVELS - 1]), None);
        assert!(fit_scaling(&points[..FEWEST_LEVELS]).is_some());
        // The same level again is none more.
        let mut same = points[..3].to_vec();
        same.extend_from_slice(&points[..3]);
        assert_eq!(fit_scaling(&same), None);
    }

    #[test]
    fn growth_without_an_end_has_no_knee() {
        let fit = fit_scaling(&sampled(
            ScalingModel::Usl { one: 10.0, contention: 0.0, crosstalk: 0.0 },
            0.0,
            1,
        ));
        let model = fit.unwrap().model;
        assert!(model.knee().is_none_or(|knee| knee >= 31.0), "{model:?}");
    }

    proptest! {
        #[test]
        fn whatever_the_points_nothing_impossible_comes(
            points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..20)
        ) {
            let points: Vec<_> =
                points.into_iter().map(|(size, rate)| ScalingPoint { size, rate }).collect();
            if let Some(fit) = fit_scaling(&points) {
                prop_assert!(fit.aicc.is_finite() && !fit.relative_error.is_nan());
            }
        }
    }
}
