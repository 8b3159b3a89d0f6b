use pinchpoint_measure::{Prediction, Spread};

/// Whether a prediction held: the measured median lies in its range, or the median's 95 % interval
/// meets the range and is no wider (as a ratio) than the range itself. An interval that is wider
/// decides nothing, so then the median alone counts.
pub fn judge(prediction: &Prediction, measured_per_s: &Spread) -> bool {
    let [lo, hi] = prediction.range_per_s;
    if lo <= measured_per_s.median && measured_per_s.median <= hi {
        return true;
    }
    // Written so that a NaN anywhere is a miss.
    measured_per_s.ci95.is_some_and(|[from, to]| {
        let meets = from <= hi && lo <= to;
        let decides = from > 0.0 && lo > 0.0 && to / from <= hi / lo;
        meets && decides
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{prediction, spread};

    #[test]
    fn the_median_or_a_narrow_interval_must_meet_the_range() {
        let range = prediction(150.0, 250.0);
        for (median, ci95, held) in [
            (175.0, None, true),
            (150.0, None, true),
            (149.0, None, false),
            (145.0, Some([140.0, 151.0]), true),
            (145.0, Some([140.0, 149.0]), false),
            (145.0, Some([50.0, 400.0]), false),
            (f64::NAN, Some([f64::NAN, 200.0]), false),
            (0.0, Some([0.0, 0.0]), false),
        ] {
            assert_eq!(judge(&range, &spread(median, ci95)), held, "{median} {ci95:?}");
        }
        assert!(!judge(&prediction(f64::NAN, f64::NAN), &spread(1.0, Some([0.5, 2.0]))));
    }
}
