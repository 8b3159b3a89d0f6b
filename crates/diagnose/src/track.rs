//! How predictions fared over runs, and what that teaches the next one.

use std::collections::BTreeSet;

use pinchpoint_measure::{Judgement, PredictionRecord, RunResult, TrackRecord, TrackScore};
use pinchpoint_stats::{mean, median};

use crate::predict::MODEL;
use crate::reading::positive;

/// Ranges are to hold eight times in ten: at nine, the worst of a dozen climbs sets the width of all, and
/// a range of a factor of four says nothing.
const MISSES: f64 = 0.2;
/// Records that are enough to learn from.
const ENOUGH: usize = 9;

/// The judged predictions of a run, as the ledger keeps them.
pub fn records(result: &RunResult) -> Vec<PredictionRecord> {
    let throughput =
        |name: &str| Some(result.variant(name)?.summary.as_ref()?.throughput_per_s.clone());
    let of = |variant: &pinchpoint_measure::Variant| {
        let prediction = variant.prediction.as_ref().filter(|p| judgement(p).is_some())?;
        Some(PredictionRecord {
            experiment: result.experiment.clone(),
            run: result.started_at.clone(),
            variant: variant.name.clone(),
            cpus: result.environment.cpus,
            model: MODEL,
            from_per_s: throughput(&prediction.from).map(|s| s.median),
            measured_ci95: throughput(&variant.name).and_then(|s| s.ci95),
            prediction: prediction.clone(),
        })
    };
    result.variants.iter().filter_map(of).collect()
}

/// Coverage, width, direction and score of these records. Of two of the same prediction the last
/// counts; one whose hash is broken does not.
pub fn track(records: &[PredictionRecord]) -> TrackRecord {
    let mut known = BTreeSet::new();
    let mut latest: Vec<&PredictionRecord> = records
        .iter()
        .rev()
        .filter(|r| judgement(&r.prediction).is_some())
        .filter(|r| known.insert((&r.run, &r.experiment, &r.variant)))
        .collect();
    latest.reverse();
    let (sound, broken): (Vec<_>, Vec<_>) =
        latest.into_iter().partition(|r| r.prediction.seal_holds() != Some(false));
    let levers: BTreeSet<&str> = sound.iter().map(|r| r.prediction.lever.as_str()).collect();
    let of_lever = |lever: &str| {
        let some: Vec<_> = sound.iter().copied().filter(|r| r.prediction.lever == lever).collect();
        score(lever, &some)
    };
    let missed = |r: &&PredictionRecord| judgement(&r.prediction) == Some(Judgement::Missed);
    TrackRecord {
        levers: levers.into_iter().map(of_lever).collect(),
        all: score("all", &sound),
        misses: sound.iter().copied().filter(missed).cloned().collect(),
        broken: broken.len(),
    }
}

fn score(lever: &str, records: &[&PredictionRecord]) -> TrackScore {
    let count = |wanted: Judgement| {
        records.iter().filter(|r| judgement(&r.prediction) == Some(wanted)).count()
    };
    let (held, missed) = (count(Judgement::Held), count(Judgement::Missed));
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let widths: Vec<f64> = records.iter().filter_map(|r| width(r)).collect();
    let scores: Vec<f64> = records.iter().filter_map(|r| interval_score(r)).collect();
    let directions: Vec<bool> = records.iter().filter_map(|r| direction(r)).collect();
    TrackScore {
        lever: lever.to_owned(),
        predictions: records.len(),
        held,
        missed,
        undecided: records.len() - held - missed,
        coverage: share(held, held + missed),
        width: median(&widths),
        interval_score: mean(&scores),
        direction: share(directions.iter().filter(|right| **right).count(), directions.len()),
    }
}

/// How it ended; results of earlier versions only say whether it held.
fn judgement(prediction: &pinchpoint_measure::Prediction) -> Option<Judgement> {
    prediction.judgement.or_else(|| {
        prediction.held.map(|held| if held { Judgement::Held } else { Judgement::Missed })
    })
}

/// The range's ends, where they can be true.
fn ends(record: &PredictionRecord) -> Option<[f64; 2]> {
    let [lo, hi] = record.prediction.range_per_s;
    Some([positive(lo)?, positive(hi).filter(|hi| *hi >= lo)?])
}

fn width(record: &PredictionRecord) -> Option<f64> {
    ends(record).map(|[lo, hi]| hi / lo)
}

fn interval_score(record: &PredictionRecord) -> Option<f64> {
    let [lo, hi] = ends(record)?.map(f64::ln);
    let came = positive(record.prediction.measured_per_s?)?.ln();
    let outside = (lo - came).max(came - hi).max(0.0);
    Some(hi - lo + 2.0 / MISSES * outside)
}

/// Whether a gain or a loss that was expected came; `None` where the range leaves both open.
fn direction(record: &PredictionRecord) -> Option<bool> {
    let ([lo, hi], from) = (ends(record)?, positive(record.from_per_s?)?);
    let came = positive(record.prediction.measured_per_s?)?;
    if lo > from { Some(came > from) } else { (hi < from).then_some(came < from) }
}

/// Factors by which ranges are widened on both sides, from how far past ranges, before they were
/// widened, missed: split conformal prediction for intervals (Romano, Patterson & Candès 2019).
#[derive(Debug, Clone, Default)]
pub struct Experience {
    outside: Vec<(String, f64)>,
}

impl Experience {
    /// The factor while there are too few records to learn from.
    pub const PRIOR: f64 = 1.075;
    /// However badly it went: a range that is still wider says nothing.
    const MOST: f64 = 1.6;

    /// What these records teach. Give it none of the run that is to be predicted.
    pub fn of(records: &[PredictionRecord]) -> Self {
        let mut known = BTreeSet::new();
        let outside = records
            .iter()
            .rev()
            .filter(|r| r.model == MODEL && r.prediction.seal_holds() == Some(true))
            .filter(|r| known.insert((&r.run, &r.experiment, &r.variant)))
            .filter_map(|r| Some((r.prediction.lever.clone(), outside(r)?)))
            .collect();
        Self { outside }
    }

    /// The factor for a lever: its own records' where there are enough, else those of all levers,
    /// else [`Self::PRIOR`].
    pub fn widening(&self, lever: &str) -> f64 {
        let of = |all: bool| {
            let mine = self.outside.iter().filter(|(name, _)| all || name == lever);
            mine.map(|(_, outside)| *outside).collect()
        };
        let learned = conformal(of(false)).or_else(|| conformal(of(true)));
        learned.map_or(Self::PRIOR, |outside| outside.exp().clamp(1.0, Self::MOST))
    }
}

/// How far outside its range, before that was widened, the measurement came: a logarithm, negative
/// inside.
fn outside(record: &PredictionRecord) -> Option<f64> {
    let [lo, hi] = ends(record)?;
    let widened = positive(record.prediction.widened.unwrap_or(1.0))?;
    let came = positive(record.prediction.measured_per_s?)?;
    Some((lo * widened / came).ln().max((came * widened / hi).ln()))
}

/// The value that the next one exceeds with a probability of two in ten at most, when it is drawn
/// as these were: the ⌈0.8·(n + 1)⌉-th smallest. `None` when there are too few.
fn conformal(mut seen: Vec<f64>) -> Option<f64> {
    if seen.len() < ENOUGH {
        return None;
    }
    seen.sort_unstable_by(f64::total_cmp);
    let rank = ((seen.len() + 1) as f64 * (1.0 - MISSES)).ceil() as usize;
    seen.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::Prediction;
    use proptest::prelude::*;

    use super::*;

    fn record(n: usize, lever: &str, range: [f64; 2], came: f64) -> PredictionRecord {
        let [lo, hi] = range;
        let held = lo <= came && came <= hi;
        let mut prediction = Prediction {
            from: "1".to_owned(),
            lever: lever.to_owned(),
            range_per_s: range,
            measured_per_s: Some(came),
            held: Some(held),
            judgement: Some(if held { Judgement::Held } else { Judgement::Missed }),
            widened: Some(1.0),
            ..Prediction::default()
        };
        prediction.seal(format!("then {n}"));
        PredictionRecord {
            experiment: "ladder".to_owned(),
            run: format!("then {n}"),
            variant: "2".to_owned(),
            cpus: 2,
            model: MODEL,
            from_per_s: Some(100.0),
            measured_ci95: None,
            prediction,
        }
    }

    fn close(a: Option<f64>, b: f64) {
        assert!(a.is_some_and(|a| (a - b).abs() < 1e-9), "{a:?} {b}");
    }

    #[test]
    fn scores_by_hand() {
        let mut undecided = record(3, "pool", [200.0, 400.0], 300.0);
        undecided.prediction.held = None;
        undecided.prediction.judgement = Some(Judgement::Undecided);
        let records = [
            record(1, "pool", [200.0, 400.0], 300.0),
            record(2, "pool", [200.0, 300.0], 600.0),
            undecided,
            record(4, "copy", [50.0, 150.0], 90.0),
        ];
        let track = track(&records);
        let pool = &track.levers[1];
        assert_eq!((pool.lever.as_str(), pool.predictions), ("pool", 3));
        assert_eq!((pool.held, pool.missed, pool.undecided), (1, 1, 1));
        close(pool.coverage, 0.5);
        close(pool.width, 2.0);
        // Two ranges of a factor of 2, one of 1.5 that was missed by a factor of 2.
        let two = 2.0_f64.ln();
        close(pool.interval_score, (two + 1.5_f64.ln() + 10.0 * two + two) / 3.0);
        close(pool.direction, 1.0);
        assert_eq!(track.levers[0].direction, None, "the range leaves it open");
        assert_eq!((track.all.predictions, track.all.held), (4, 2));
        assert_eq!(track.misses, [records[1].clone()]);
    }

    #[test]
    fn a_record_counts_once_and_only_unbroken() {
        let first = record(1, "pool", [200.0, 400.0], 300.0);
        let mut again = first.clone();
        again.prediction.measured_per_s = Some(310.0);
        let mut broken = record(2, "pool", [200.0, 400.0], 900.0);
        broken.prediction.range_per_s = [200.0, 1000.0];
        let track = track(&[first, again.clone(), broken]);
        assert_eq!((track.all.predictions, track.all.missed, track.broken), (1, 0, 1));
    }

    #[test]
    fn nine_records_are_enough_to_learn_from() {
        // Missed by a factor of 1.3 twice in nine, and once by more, else well inside.
        let mut records: Vec<_> =
            (0..6).map(|n| record(n, "pool", [200.0, 400.0], 280.0)).collect();
        records.push(record(6, "pool", [200.0, 400.0], 520.0));
        records.push(record(7, "pool", [200.0, 400.0], 900.0));
        let few = Experience::of(&records);
        assert!((few.widening("pool") - Experience::PRIOR).abs() < 1e-12);
        records.push(record(8, "pool", [200.0, 400.0], 520.0));
        let nine = Experience::of(&records);
        assert!((nine.widening("pool") - 1.3).abs() < 1e-9, "{}", nine.widening("pool"));
        assert!((nine.widening("batch") - 1.3).abs() < 1e-9, "of all, where there is nothing else");
        let held: Vec<_> = (0..9).map(|n| record(n, "pool", [200.0, 400.0], 280.0)).collect();
        assert!((Experience::of(&held).widening("pool") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn another_model_and_a_broken_seal_teach_nothing() {
        let mut records: Vec<_> =
            (0..9).map(|n| record(n, "pool", [200.0, 400.0], 280.0)).collect();
        records[0].model = MODEL + 1;
        assert!((Experience::of(&records).widening("pool") - Experience::PRIOR).abs() < 1e-12);
        records[0].model = MODEL;
        records[0].prediction.hash = Some("0".to_owned());
        assert!((Experience::of(&records).widening("pool") - Experience::PRIOR).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn whatever_is_recorded_nothing_panics(
            figures in prop::collection::vec((any::<f64>(), any::<f64>(), any::<f64>()), 0..30),
        ) {
            let records: Vec<_> = figures
                .iter()
                .enumerate()
                .map(|(n, (lo, hi, came))| record(n, "pool", [*lo, *hi], *came))
                .collect();
            let track = track(&records);
            prop_assert_eq!(track.all.predictions + track.broken, records.len());
            let factor = Experience::of(&records).widening("pool");
            prop_assert!((1.0..=Experience::MOST).contains(&factor));
        }
    }
}
