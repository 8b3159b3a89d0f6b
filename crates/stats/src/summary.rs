/// Arithmetic mean; `None` for no values or one that is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    all_finite(values)?;
    // Divided first, so that huge values do not overflow the sum.
    let n = values.len() as f64;
    let plain = values.iter().sum::<f64>() / n;
    if plain.is_finite() { Some(plain) } else { Some(values.iter().map(|v| v / n).sum()) }
}

/// Median: the middle value, or the mean of the two middle ones; `None` for no values or one that
/// is not finite.
pub fn median(values: &[f64]) -> Option<f64> {
    all_finite(values)?;
    Some(median_of_sorted(&sorted(values)))
}

/// Standard deviation of the sample (n − 1 in the denominator); `None` for fewer than two values
/// or one that is not finite.
pub fn std_dev(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// `Some` when there are values and all are finite.
pub(crate) fn all_finite(values: &[f64]) -> Option<()> {
    (!values.is_empty() && values.iter().all(|v| v.is_finite())).then_some(())
}

/// The values in ascending order.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The median of values in ascending order, of which there is at least one.
pub(crate) fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_cases_by_hand() {
        let values = [3.0, 1.0, 2.0, 10.0];
        assert_eq!(mean(&values), Some(4.0));
        assert_eq!(median(&values), Some(2.5));
        assert_eq!(median(&values[..3]), Some(2.0));
        assert!((std_dev(&values).unwrap() - (50.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn nothing_honest_can_be_said_of_these() {
        for bad in [&[][..], &[f64::NAN], &[1.0, f64::INFINITY]] {
            assert_eq!((mean(bad), median(bad), std_dev(bad)), (None, None, None));
        }
        assert_eq!(std_dev(&[1.0]), None);
        assert_eq!(mean(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    }

    proptest! {
        #[test]
        fn the_median_ignores_order_and_scales(
            values in prop::collection::vec(-1e9..1e9_f64, 1..40), seed: u64,
        ) {
            let expected = median(&values).unwrap();
            let mut shuffled = values.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            prop_assert_eq!(median(&shuffled), Some(expected));
            let scaled: Vec<f64> = values.iter().map(|v| v * 4.0).collect();
            prop_assert_eq!(median(&scaled), Some(expected * 4.0));
            let below = values.iter().filter(|v| **v < expected).count();
            let above = values.iter().filter(|v| **v > expected).count();
            prop_assert!(below * 2 <= values.len() && above * 2 <= values.len());
        }
    }
}
