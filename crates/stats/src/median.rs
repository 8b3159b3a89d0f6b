use crate::Interval;
use crate::student::student_t_for;
use crate::summary::{all_finite, mean, median_of_sorted, sorted, std_dev};

/// From this many values on, two of them bound the median with 95 % confidence.
const ORDER_STATISTICS_FROM: usize = 6;

/// A median over trials with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct MedianCi {
    /// Median over the trials.
    pub median: f64,
    /// 95 % confidence interval of the median; it always contains it.
    pub ci95: Option<Interval>,
    /// How the interval was made, or why there is none.
    pub method: String,
}

/// The median over trials with a 95 % confidence interval; `None` for no values or one that is not
/// finite.
///
/// - n ≥ 6: the r-th smallest and r-th largest value, r as large as the binomial distribution
///   allows at 95 % (Hahn & Meeker, *Statistical Intervals*, section 5.2). It assumes no
///   distribution; its real confidence is at least 95 %.
/// - 2 ≤ n < 6, all above 0: Student's t on the logarithms, that is, for multiplicative noise,
///   under which median and geometric mean are one. For so few values the interval always reaches
///   the sample's median: no order statistic that makes it up is further than 0.9 standard
///   deviations from the mean, and t ÷ √n is at least 1.24.
/// - else none.
pub fn median_ci(values: &[f64]) -> Option<MedianCi> {
    all_finite(values)?;
    let n = values.len();
    let sorted = sorted(values);
    let median = median_of_sorted(&sorted);
    let (ci95, method) = if n >= ORDER_STATISTICS_FROM {
        (order_statistics(&sorted), format!("order statistics of {n} trials"))
    } else if n < 2 {
        (None, "none: one trial".to_owned())
    } else if let Some(interval) = student_on_logs(&sorted) {
        (Some(interval), format!("Student t on logs over {n} trials"))
    } else {
        (None, format!("none: {n} trials, not all above 0"))
    };
    Some(MedianCi { median, ci95: ci95.map(|ci| ci.including(median)), method })
}

/// The narrowest symmetric pair of order statistics that covers the median with 95 %.
fn order_statistics(sorted: &[f64]) -> Option<Interval> {
    let n = sorted.len();
    // P(B ≤ k) for B ~ Bin(n, 1/2), summed in logarithms because 2^-n leaves f64 at n = 1,075.
    let mut ln_pmf = -(n as f64) * std::f64::consts::LN_2;
    let mut below = 0.0;
    let mut rank = 0;
    for k in 0..n / 2 {
        below += ln_pmf.exp();
        if below > 0.025 {
            break;
        }
        rank = k + 1;
        ln_pmf += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    (rank > 0).then(|| Interval { lo: sorted[rank - 1], hi: sorted[n - rank] })
}

fn student_on_logs(values: &[f64]) -> Option<Interval> {
    if values.iter().any(|v| *v <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    let n = logs.len();
    let half = student_t_for(n, 1) * std_dev(&logs)? / (n as f64).sqrt();
    let ends = Interval::around(mean(&logs)?, half);
    // Values so far apart that an end leaves f64 bound nothing.
    let interval = Interval { lo: ends.lo.exp(), hi: ends.hi.exp() };
    interval.hi.is_finite().then_some(interval)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::noise::normal;

    #[test]
    fn order_statistics_ranks_are_those_of_the_tables() {
        // Hahn & Meeker, table A.16: the rank whose pair covers the median with at least 95 %.
        for (n, rank) in [(6, 1), (8, 1), (9, 2), (15, 4), (20, 6), (50, 18), (100, 40)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let ci = order_statistics(&values).unwrap();
            assert_eq!((ci.lo, ci.hi), (f64::from(rank), f64::from(n + 1 - rank)), "n = {n}");
        }
        let many: Vec<f64> = (0..5_000).map(f64::from).collect();
        let ci = order_statistics(&many).unwrap();
        assert!((ci.lo - (2_500.0 - 0.98 * 5_000_f64.sqrt())).abs() < 2.0, "{ci:?}");
    }

    #[test]
    fn few_trials_by_hand() {
        let ci = median_ci(&[100.0, 110.0, 121.0]).unwrap();
        assert!((ci.median - 110.0).abs() < 1e-12);
        let factor = (4.302_653 * 1.1_f64.ln() / 3_f64.sqrt()).exp();
        let interval = ci.ci95.unwrap();
        assert!((interval.lo - 110.0 / factor).abs() < 1e-6);
        assert!((interval.hi - 110.0 * factor).abs() < 1e-6);
        assert_eq!(ci.method, "Student t on logs over 3 trials");
    }

    #[test]
    fn no_interval_is_said_so() {
        assert_eq!(median_ci(&[]), None);
        assert_eq!(median_ci(&[f64::NAN, 1.0]), None);
        for values in [&[5.0][..], &[0.0, 5.0], &[-1.0, 5.0]] {
            let ci = median_ci(values).unwrap();
            assert_eq!(ci.ci95, None);
            assert!(ci.method.starts_with("none: "), "{}", ci.method);
        }
    }

    #[test]
    fn covers_the_true_median_about_as_often_as_it_says() {
        let mut rng = fastrand::Rng::with_seed(7);
        for n in [2, 3, 5, 6, 9, 20] {
            let runs = 4_000;
            let hits = (0..runs)
                .filter(|_| {
                    let values: Vec<f64> =
                        (0..n).map(|_| 1_000.0 * (0.1 * normal(&mut rng)).exp()).collect();
                    median_ci(&values).unwrap().ci95.unwrap().contains(1_000.0)
                })
                .count();
            let coverage = hits as f64 / f64::from(runs);
            assert!((0.94..=0.985).contains(&coverage), "n = {n}: {coverage}");
        }
    }

    proptest! {
        #[test]
        fn contains_the_median_and_scales(
            values in prop::collection::vec(1e-6..1e12_f64, 2..40), factor in 1e-3..1e3_f64,
        ) {
            let ci = median_ci(&values).unwrap();
            if let Some(interval) = ci.ci95 {
                prop_assert!(interval.contains(ci.median));
                let scaled: Vec<f64> = values.iter().map(|v| v * factor).collect();
                let scaled = median_ci(&scaled).unwrap().ci95.unwrap();
                prop_assert!((scaled.lo / (interval.lo * factor) - 1.0).abs() < 1e-6);
                prop_assert!((scaled.hi / (interval.hi * factor) - 1.0).abs() < 1e-6);
            }
        }

        #[test]
        fn never_panics(values in prop::collection::vec(any::<f64>(), 0..12)) {
            let _ = median_ci(&values);
        }

        /// The documentation's claim: the interval contains the median without being stretched.
        #[test]
        fn few_values_reach_their_median(values in prop::collection::vec(1e-3..1e6_f64, 2..6)) {
            let sorted = sorted(&values);
            let interval = student_on_logs(&sorted).unwrap();
            let median = median_of_sorted(&sorted);
            prop_assert!(interval.lo <= median * (1.0 + 1e-9));
            prop_assert!(median <= interval.hi * (1.0 + 1e-9));
        }
    }
}
