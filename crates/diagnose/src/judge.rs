use pinchpoint_measure::{Judgement, Prediction, Spread};

/// What became of a prediction, once what it is about has been measured.
///
/// - *missed*: the measured 95 % interval (without one, the median) and the range do not meet;
/// - *undecided*: they meet, but the interval is wider, as a ratio, than the range, so that it
///   could as well lie outside;
/// - *held*: they meet and the measurement is sharp enough to say so.
///
/// Figures that are none are a miss.
pub fn judge(prediction: &Prediction, measured_per_s: &Spread) -> Judgement {
    let [lo, hi] = prediction.range_per_s;
    let median = measured_per_s.median;
    let [from, to] = measured_per_s.ci95.unwrap_or([median, median]);
    // Written so that a NaN anywhere is a miss.
    let meets = from <= hi && lo <= to && median > 0.0 && from <= median && median <= to;
    if !meets {
        return Judgement::Missed;
    }
    let decides = from > 0.0 && lo > 0.0 && to / from <= hi / lo;
    // Without an interval nobody knows better than the median.
    if decides || measured_per_s.ci95.is_none() { Judgement::Held } else { Judgement::Undecided }
}

/// Holds a prediction against what came, and keeps the outcome in it.
pub fn hold_against(prediction: &mut Prediction, measured_per_s: &Spread) {
    let judgement = judge(prediction, measured_per_s);
    prediction.measured_per_s = Some(measured_per_s.median);
    prediction.judgement = Some(judgement);
    prediction.held = match judgement {
        Judgement::Held => Some(true),
        Judgement::Missed => Some(false),
        Judgement::Undecided => None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{prediction, spread};

    #[test]
    fn the_interval_must_meet_the_range_and_be_no_wider() {
        use Judgement::{Held, Missed, Undecided};
        let range = prediction(150.0, 250.0);
        for (median, ci95, expected) in [
            (175.0, None, Held),
            (150.0, None, Held),
            (149.0, None, Missed),
            (175.0, Some([160.0, 190.0]), Held),
            (145.0, Some([140.0, 151.0]), Held),
            (145.0, Some([140.0, 149.0]), Missed),
            // The interval reaches from half to twice the range.
            (175.0, Some([75.0, 400.0]), Undecided),
            (145.0, Some([50.0, 400.0]), Undecided),
            // However wide, it does not reach it.
            (20.0, Some([10.0, 140.0]), Missed),
            (f64::NAN, Some([f64::NAN, 200.0]), Missed),
            (0.0, Some([0.0, 0.0]), Missed),
            (0.0, None, Missed),
        ] {
            assert_eq!(judge(&range, &spread(median, ci95)), expected, "{median} {ci95:?}");
        }
        let nothing = prediction(f64::NAN, f64::NAN);
        assert_eq!(judge(&nothing, &spread(1.0, Some([0.5, 2.0]))), Missed);
    }

    #[test]
    fn what_is_undecided_neither_held_nor_missed() {
        let mut range = prediction(150.0, 250.0);
        hold_against(&mut range, &spread(145.0, Some([50.0, 400.0])));
        assert_eq!((range.held, range.judgement), (None, Some(Judgement::Undecided)));
        assert_eq!(range.measured_per_s, Some(145.0));
        hold_against(&mut range, &spread(200.0, None));
        assert_eq!((range.held, range.judgement), (Some(true), Some(Judgement::Held)));
    }
}
