use pinchpoint_diagnose::{Experience, predict_users};
use pinchpoint_measure::{Observation, Prediction, RunResult};

use crate::forecast::machine;

/// What an observation calls the application where its process was not found.
const APPLICATION: &str = "application's CPU";

/// What other users of a server that somebody else runs should give, or why that is not said: from the
/// CPU that a request takes of its application and of the database behind it, so far as both are seen.
/// `named` says that the database was.
pub(crate) fn expect(
    result: &RunResult,
    users: u32,
    named: bool,
    experience: &Experience,
) -> Result<Prediction, String> {
    let given = &result.variants[0];
    let observed: Vec<&Observation> =
        given.trials.iter().filter_map(|trial| trial.observation.as_ref()).collect();
    let seen = |name: &str| {
        observed.iter().any(|o| o.process(name).is_some_and(|process| process.cpu_s.is_some()))
    };
    if !seen("app") {
        let mut gaps = observed.iter().flat_map(|o| &o.missing);
        let gap = gaps.find(|gap| gap.signal == APPLICATION).map(|gap| gap.reason.as_str());
        let because = gap.unwrap_or("it does not run on this machine");
        return Err(format!("the application's CPU cannot be seen: {because}"));
    }
    if !seen("postgres") {
        return Err(if named {
            "the database's CPU cannot be seen from here".to_owned()
        } else {
            "nothing is known of what stands behind the application; name its database with \
             --observe-dsn"
                .to_owned()
        });
    }
    predict_users(given, users, &machine(result), experience).map_err(|why| why.to_string())
}
