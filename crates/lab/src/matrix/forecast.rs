use pinchpoint_diagnose::{
    Experience, StackSounding, StackStep, Unpredicted, predict_step, predict_users,
};
use pinchpoint_measure::{Prediction, RunResult};
use pinchpoint_plan::{Case, Matrix, Pace};

use crate::forecast::machine;
use crate::matrix::lever::levers;

/// What can be said of a case before it is run for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// The case at this place differs in its users only.
    Users(usize),
    /// The case at `from` has as many users and differs in one thing; the changed stack is to be tried
    /// by `users` first.
    Step { from: usize, lever: String, users: u32 },
    /// Nothing, for a reason.
    Silent(String),
}

/// Users that try a changed stack at most: enough to overlap, too few to fill what all would fill.
const FEW: u32 = 4;

/// Looks for a case that was measured and from which this one can be predicted: one of the same stack
/// with the nearest number of users, else the first that differs in one thing. `None` when nothing
/// comparable was measured.
pub(crate) fn ahead(
    matrix: &Matrix,
    cases: &[Case],
    at: usize,
    measured: impl Fn(usize) -> bool,
) -> Option<Ahead> {
    let case = &cases[at];
    let known = || (0..cases.len()).filter(|i| *i != at && measured(*i));
    let apart = |i: usize| (f64::from(cases[i].users.max(1)) / f64::from(case.users)).ln().abs();
    let same = known().filter(|i| levers(matrix, &cases[*i], case).is_empty());
    let scheduled = matrix.load.pace != Pace::FlatOut;
    if let Some(from) = same.min_by(|a, b| apart(*a).total_cmp(&apart(*b))) {
        return Some(if scheduled {
            silent(&Unpredicted::Schedule.to_string())
        } else {
            Ahead::Users(from)
        });
    }
    let differing = known().filter(|i| cases[*i].users == case.users).map(|i| {
        let levers: Vec<String> = levers(matrix, &cases[i], case).into_iter().collect();
        (i, levers)
    });
    // The first of those that differ least.
    let (from, levers) = differing.min_by_key(|(_, levers)| {
        (levers.iter().any(|lever| lever == "application"), levers.len())
    })?;
    let app = &matrix.apps[case.app];
    Some(match levers.as_slice() {
        many if many.iter().any(|lever| lever == "application") => {
            silent("it is another program than every case before it")
        }
        _ if scheduled => silent(&Unpredicted::Schedule.to_string()),
        _ if app.url.is_some() || app.pooled_url.is_some() => {
            silent("somebody else runs its application, whose CPU cannot be seen")
        }
        [lever] if case.users > 1 => {
            let users = (case.users / 3).clamp(1, FEW);
            Ahead::Step { from, lever: lever.clone(), users }
        }
        [_] => silent("it has one user, and no fewer could try it"),
        many => Ahead::Silent(format!(
            "it differs from {} in more than one thing: {}",
            cases[from].name,
            many.join(", ")
        )),
    })
}

fn silent(reason: &str) -> Ahead {
    Ahead::Silent(reason.to_owned())
}

/// Whether a case is yet to be run and nothing was said of it.
pub(crate) fn is_new(result: &RunResult, at: usize) -> bool {
    let case = &result.variants[at];
    case.trials.is_empty() && case.prediction.is_none() && case.unpredicted.is_none()
}

/// What a case with other users is expected to give.
pub(crate) fn of_users(
    result: &RunResult,
    from: usize,
    users: u32,
    experience: &Experience,
) -> Result<Prediction, String> {
    predict_users(&result.variants[from], users, &machine(result), experience)
        .map_err(|reason| reason.to_string())
}

/// What a changed stack that was tried is expected to give.
pub(crate) fn of_step(
    result: &RunResult,
    from: usize,
    lever: &str,
    case: &Case,
    sounding: &StackSounding,
    experience: &Experience,
) -> Result<Prediction, String> {
    let connections = case.profile.connections;
    let step = StackStep { lever, users: case.users, connections, sounding };
    predict_step(&result.variants[from], &step, &machine(result), experience)
        .map_err(|reason| reason.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pinchpoint_diagnose::{ProcessDemand, cache_hits, hold_against, records, track};
    use pinchpoint_measure::{Variant, VariantStatus, factor_u64};

    use super::*;
    use crate::forecast::keep;
    use crate::matrix::tests::built_in;

    const EXAMPLES: [(&str, &str); 3] = [
        ("sessions", include_str!("../../../../docs/example/sessions/result.json")),
        ("frameworks", include_str!("../../../../docs/example/frameworks/result.json")),
        ("cache", include_str!("../../../../docs/example/cache/result.json")),
    ];

    /// A built-in matrix, and its cases as a stored run has them.
    fn stored((name, text): (&str, &str)) -> (Matrix, Vec<Case>, RunResult) {
        let (matrix, result) = (built_in(name), RunResult::from_json(text).unwrap());
        let all = matrix.cases();
        let case = |name: &str| all.iter().find(|c| c.name == name).unwrap().clone();
        let cases = result.variants.iter().map(|v| case(&v.name)).collect();
        (matrix, cases, result)
    }

    /// The stored runs again: each case as if it had not been run, from those before it.
    fn replayed(example: (&str, &str)) -> RunResult {
        let (matrix, cases, stored) = stored(example);
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
            let Some(Ahead::Users(from)) = ahead(&matrix, &cases, at, |i| i < at) else { continue };
            let expected = of_users(&so_far, from, cases[at].users, &Experience::default());
            keep(&mut so_far, at, expected);
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
        let all: Vec<_> =
            EXAMPLES.iter().flat_map(|example| records(&replayed(*example))).collect();
        let track = track(&all);
        let all = &track.all;
        assert!(all.predictions >= 20, "{all:?}");
        assert!(all.coverage.unwrap() >= 0.7, "{all:?} {:?}", track.misses);
        assert!(all.width.unwrap() <= 2.2, "{all:?}");
    }

    /// What is said before each case of a matrix when all before it were measured.
    fn all_ahead(matrix: &Matrix) -> BTreeMap<String, Option<Ahead>> {
        let cases = matrix.cases();
        let of = |at: usize| (cases[at].name.clone(), ahead(matrix, &cases, at, |i| i < at));
        (0..cases.len()).map(of).collect()
    }

    #[test]
    fn a_stack_that_differs_in_one_thing_is_tried_by_few_users() {
        let cache = built_in("cache");
        let all = all_ahead(&cache);
        let step =
            |lever: &str, users: u32| Some(Ahead::Step { from: 0, lever: lever.to_owned(), users });
        assert_eq!(all["off-direct-10"], None, "nothing was measured before");
        assert_eq!(all["off-direct-100"], Some(Ahead::Users(0)));
        assert_eq!(all["warm-direct-10"], step("cache", 3));
        assert_eq!(all["no-indexes-direct-10"], step("index", 3));
        assert_eq!(all["dataloader-direct-10"], step("join", 3));
        // The same stack was measured with 10 users.
        assert!(matches!(all["warm-direct-100"], Some(Ahead::Users(_))));
        let frameworks = built_in("frameworks");
        let all = all_ahead(&frameworks);
        assert_eq!(all["axum-pgbouncer-10"], step("pooler", 3));
        let silent = |all: &BTreeMap<String, Option<Ahead>>, name: &str| match &all[name] {
            Some(Ahead::Silent(reason)) => reason.clone(),
            other => panic!("{name}: {other:?}"),
        };
        assert!(silent(&all, "actix-direct-10").contains("another program"));
        // The own pool goes, the way changes, statements are prepared again.
        assert!(matches!(all["fastapi-step-2-persistent"], Some(Ahead::Step { .. })), "{all:?}");
    }

    #[test]
    fn why_nothing_is_said_is_said() {
        let mut cache = built_in("cache");
        cache.users = vec![1];
        let silent = |matrix: &Matrix, name: &str| match &all_ahead(matrix)[name] {
            Some(Ahead::Silent(reason)) => reason.clone(),
            other => panic!("{name}: {other:?}"),
        };
        assert!(silent(&cache, "warm-direct-1").contains("no fewer could try it"));
        cache.users = vec![10];
        let cases = cache.cases();
        let at = cases.iter().position(|c| c.name == "n-plus-1-direct-10").unwrap();
        let only_without_indexes = |i: usize| cases[i].name == "no-indexes-direct-10";
        let Some(Ahead::Silent(reason)) = ahead(&cache, &cases, at, only_without_indexes) else {
            panic!("two levers");
        };
        assert_eq!(
            reason,
            "it differs from no-indexes-direct-10 in more than one thing: index, join"
        );
        cache.load.pace = Pace::Rate { per_s: 100.0 };
        assert!(silent(&cache, "warm-direct-10").contains("schedule"));
        cache.load.pace = Pace::FlatOut;
        cache.apps.iter_mut().for_each(|a| a.url = Some("http://elsewhere/".to_owned()));
        assert!(silent(&cache, "warm-direct-10").contains("somebody else"));
    }

    /// What was measured of a stored case, as if few users had tried its stack.
    fn as_tried(variant: &Variant) -> Option<StackSounding> {
        let trial = variant.trials.first()?;
        let stack = trial.stack.as_ref()?;
        let demand = |p: &pinchpoint_measure::ProcessFigures| {
            let cpu_ms = p.cpu_us_per_op? / 1e3;
            Some(ProcessDemand { name: p.name.clone(), cpu_ms, cpus: p.cpus })
        };
        Some(StackSounding {
            users: factor_u64(&variant.factors, "users")? as u32,
            seconds: trial.duration_s,
            operations: trial.succeeded,
            load_ms: trial.client_cpu_us_per_op / 1e3,
            processes: stack.processes.iter().filter_map(demand).collect(),
            hits: cache_hits(&stack.app_metrics, &stack.redis),
        })
    }

    /// The stored runs tried each stack with 10 users and ran it with more: what the 10 took, and the
    /// case before at all users, must say what each change gave.
    #[test]
    fn stored_steps_are_predicted_from_what_ten_users_took() {
        let mut all = Vec::new();
        for example in EXAMPLES {
            let (matrix, cases, mut result) = stored(example);
            let before = result.clone();
            result.variants.iter_mut().for_each(|v| v.prediction = None);
            for at in 0..cases.len() {
                let few = (0..cases.len()).find(|i| {
                    cases[*i].users == 10 && levers(&matrix, &cases[*i], &cases[at]).is_empty()
                });
                let tried = few.filter(|few| *few != at).map(|few| &before.variants[few]);
                let Some(sounding) = tried.and_then(as_tried) else { continue };
                let steps = |i: usize| i < at && cases[i].users == cases[at].users;
                let step = ahead(&matrix, &cases, at, steps);
                let Some(Ahead::Step { from, lever, .. }) = step else { continue };
                let experience = Experience::default();
                let expected = of_step(&before, from, &lever, &cases[at], &sounding, &experience);
                keep(&mut result, at, expected);
            }
            for variant in &mut result.variants {
                if let (Some(p), Some(summary)) = (&mut variant.prediction, &variant.summary) {
                    hold_against(p, &summary.throughput_per_s);
                }
            }
            all.extend(records(&result));
        }
        let track = track(&all);
        let levers: Vec<&str> = track.levers.iter().map(|l| l.lever.as_str()).collect();
        assert_eq!(levers, ["cache", "client", "index", "join", "pool", "pooler"]);
        assert!(track.all.predictions >= 20, "{:?}", track.all);
        assert!(track.all.coverage.unwrap() >= 0.9, "{:?} {:#?}", track.all, track.misses);
        assert!(track.all.width.unwrap() <= 2.5, "{:?}", track.all);
    }

    #[test]
    fn the_start_is_the_case_with_the_nearest_users_and_nothing_else_changed() {
        let result = replayed(EXAMPLES[1]);
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
