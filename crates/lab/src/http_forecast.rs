use pinchpoint_diagnose::{Experience, predict_users};
use pinchpoint_measure::{Prediction, RunResult};

use crate::forecast::machine;

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
    let seen = |name: &str| {
        let mut observed = given.trials.iter().filter_map(|trial| trial.observation.as_ref());
        observed.any(|o| o.process(name).is_some_and(|process| process.cpu_s.is_some()))
    };
    if !seen("app") {
        return Err("the application's CPU cannot be seen from here".to_owned());
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
