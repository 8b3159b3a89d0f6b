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
