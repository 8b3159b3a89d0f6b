//! What a case is, as results have it.

use pinchpoint_measure::Factors;
use pinchpoint_plan::{AppPlan, Case};
use serde_json::json;

use crate::matrix::readiness::{Prepared, Readiness};

/// The levels of a case.
pub(crate) fn factors(case: &Case, app: &AppPlan, readiness: Option<&Readiness>) -> Factors {
    let none = Prepared::default();
    let prepared = match readiness {
        Some(Readiness::Ready(prepared)) => prepared,
        _ => &none,
    };
    let versioned = |name: &str| {
        // `SQLAlchemy, asyncpg` names two packages; each gets its version.
        let parts = name.split(", ").map(|part| {
            let key = part.to_lowercase();
            match prepared.versions.get(&key) {
                Some(version) => format!("{part} {version}"),
                None => part.to_owned(),
            }
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    let profile = &case.profile;
    let mut factors = Factors::from([
        ("app".to_owned(), json!(app.name)),
        ("framework".to_owned(), json!(app.framework)),
        ("framework_version".to_owned(), json!(versioned(&app.framework))),
        ("language".to_owned(), json!(app.language)),
        ("driver".to_owned(), json!(versioned(&app.driver))),
        ("profile".to_owned(), json!(profile.name)),
        ("connection".to_owned(), json!(case.via.name())),
        ("users".to_owned(), json!(case.users)),
        ("processes".to_owned(), json!(profile.processes)),
        ("threads".to_owned(), json!(profile.threads)),
        ("pool".to_owned(), json!(profile.pool)),
        ("connections".to_owned(), json!(profile.connections)),
    ]);
    if let Some((waterfall, step)) = &case.step {
        factors.insert("waterfall".to_owned(), json!(waterfall));
        factors.insert("step".to_owned(), json!(step));
    }
    factors
}
