use std::time::SystemTime;

use pinchpoint_diagnose::{Change, Experience, predict_change};
use pinchpoint_measure::{Event, Factors, RunResult, Variant, VariantStatus, factor_u64};

use crate::clock;
use crate::forecast::machine;

/// States what a case should give that only has other users than one that was measured, before its
/// first trial: sealed, and from then on in the result.
pub(crate) fn state(result: &mut RunResult, at: usize, experience: &Experience) -> Option<Event> {
    let case = &result.variants[at];
    if !case.trials.is_empty() || case.prediction.is_some() {
        return None;
    }
    let users = factor_u64(&case.factors, "users")? as f64;
    let machine = machine(result);
    let from = nearest(&result.variants, case, users)?;
    let mut prediction = predict_change(from, &Change::Users(users), &machine, experience)?;
    prediction.seal(clock::timestamp(SystemTime::now()));
    let variant = &mut result.variants[at];
    variant.prediction = Some(prediction.clone());
    Some(Event::Prediction { variant: variant.name.clone(), prediction })
}

/// The case that was measured and differs in its users only, by the smallest factor.
fn nearest<'a>(variants: &'a [Variant], case: &Variant, users: f64) -> Option<&'a Variant> {
    let factor = |other: &Variant| {
        let others = factor_u64(&other.factors, "users").unwrap_or(0).max(1) as f64;
        (others / users).ln().abs()
    };
    let same = all_but_users(&case.factors);
    variants
        .iter()
        .filter(|other| other.status == VariantStatus::Ok && other.name != case.name)
        .filter(|other| all_but_users(&other.factors) == same)
        .min_by(|a, b| factor(a).total_cmp(&factor(b)))
}

fn all_but_users(factors: &Factors) -> Factors {
    let mut factors = factors.clone();
    factors.remove("users");
    factors
}

#[cfg(test)]
mod tests {
    use pinchpoint_diagnose::{hold_against, records, track};

    use super::*;

    const EXAMPLES: [&str; 2] = [
        include_str!("../../../../docs/example/frameworks/result.json"),
        include_str!("../../../../docs/example/cache/result.json"),
    ];

    /// The stored runs again: each case as if it had not been run, from those before it.
    fn replayed(text: &str) -> RunResult {
        let stored = RunResult::from_json(text).unwrap();
        let mut result = stored.clone();
        for variant in &mut result.variants {
            variant.prediction = None;
        }
        for at in 0..stored.variants.len() {
            let mut so_far = result.clone();
            for later in &mut so_far.variants[at..] {
                later.trials.clear();
                later.summary = None;
                later.status = VariantStatus::Pending;
            }
            state(&mut so_far, at, &Experience::default());
            result.variants[at].prediction = so_far.variants[at].prediction.take();
        }
        for variant in &mut result.variants {
            if let (Some(prediction), Some(summary)) = (&mut variant.prediction, &variant.summary) {
                hold_against(prediction, &summary.throughput_per_s);
            }
        }
        result
    }

    #[test]
    fn stored_runs_are_predicted_from_their_own_first_cases() {
        let all: Vec<_> = EXAMPLES.iter().flat_map(|text| records(&replayed(text))).collect();
        let track = track(&all);
        let all = &track.all;
        assert!(all.predictions >= 20, "{all:?}");
        assert!(all.coverage.unwrap() >= 0.7, "{all:?} {:?}", track.misses);
        assert!(all.width.unwrap() <= 2.2, "{all:?}");
    }

    #[test]
    fn the_start_is_the_case_with_the_nearest_users_and_nothing_else_changed() {
        let result = replayed(EXAMPLES[0]);
        let from = |name: &str| {
            let prediction = result.variant(name).unwrap().prediction.as_ref();
            prediction.map(|p| (p.from.as_str(), p.lever.as_str(), p.seal_holds()))
        };
        assert_eq!(from("axum-direct-10"), None, "nothing was measured before");
        let expected = Some(("axum-direct-10", "concurrency", Some(true)));
        assert_eq!(from("axum-direct-100"), expected);
        assert_eq!(from("axum-direct-1000").unwrap().0, "axum-direct-500");
        assert_eq!(from("axum-pgbouncer-10"), None, "another way to the database");
    }
}
