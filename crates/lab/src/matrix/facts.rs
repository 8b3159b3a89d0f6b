//! What a case is, as results have it.

use std::time::Duration;

use pinchpoint_http::{Check, HttpSpec, Parameter, RequestSpec, Target};
use pinchpoint_measure::Factors;
use pinchpoint_plan::{AppPlan, Case, CheckPlan, HttpPlan, RequestPlan};
use serde_json::json;

use crate::error::LabError;
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

/// What the users of a case do, at this URL.
pub(crate) fn http_spec(plan: &HttpPlan, url: &str) -> Result<HttpSpec, LabError> {
    let unsuitable = |text: String| LabError::Unsuitable(text);
    let (target, _) = Target::parse(url).map_err(|e| unsuitable(e.to_string()))?;
    let requests: Result<Vec<_>, String> = plan.requests.iter().map(request).collect();
    Ok(HttpSpec {
        target,
        requests: requests.map_err(unsuitable)?,
        timeout: plan.timeout.max(Duration::from_millis(1)),
        keep_alive: plan.keep_alive,
        insecure: false,
    })
}

fn request(plan: &RequestPlan) -> Result<RequestSpec, String> {
    let checks: Result<Vec<_>, String> = plan.checks.iter().map(check).collect();
    Ok(RequestSpec {
        name: plan.name.clone(),
        weight: plan.weight,
        method: plan.method.clone(),
        path: plan.path.clone(),
        parameters: plan
            .parameters
            .iter()
            .map(|p| Parameter { name: p.name.clone(), min: p.min, max: p.max, zipf: p.zipf })
            .collect(),
        headers: plan.headers.clone(),
        body: plan.body.clone().into_bytes(),
        checks: checks?,
    })
}

pub(crate) fn check(plan: &CheckPlan) -> Result<Check, String> {
    Ok(match plan {
        CheckPlan::Status(status) => Check::Status(vec![*status]),
        CheckPlan::JsonExists(pointer) => Check::json_exists(pointer)?,
        CheckPlan::JsonEquals(pointer, value) => Check::json_equals(pointer, value)?,
        CheckPlan::BodyAtLeast(bytes) => Check::BodySize(*bytes, u64::MAX),
        CheckPlan::BodyAtMost(bytes) => Check::BodySize(0, *bytes),
    })
}
