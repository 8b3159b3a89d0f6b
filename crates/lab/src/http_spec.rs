use std::time::Duration;

use pinchpoint_http::{Check, HttpSpec, Parameter, RequestSpec, Target};
use pinchpoint_plan::{CheckPlan, HttpPlan, RequestPlan};

use crate::error::LabError;

/// What users do, at this URL. `session` is what the tokens of prepared sessions begin with.
pub(crate) fn http_spec(plan: &HttpPlan, url: &str, session: &str) -> Result<HttpSpec, LabError> {
    let unsuitable = |text: String| LabError::Unsuitable(text);
    let (target, _) = Target::parse(url).map_err(|e| unsuitable(e.to_string()))?;
    let requests: Result<Vec<_>, String> =
        plan.requests.iter().map(|plan| request(plan, session)).collect();
    Ok(HttpSpec {
        target,
        requests: requests.map_err(unsuitable)?,
        timeout: plan.timeout.max(Duration::from_millis(1)),
        keep_alive: plan.keep_alive,
        insecure: plan.insecure,
    })
}

fn request(plan: &RequestPlan, session: &str) -> Result<RequestSpec, String> {
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
        headers: plan
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.replace("{session}", session)))
            .collect(),
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
