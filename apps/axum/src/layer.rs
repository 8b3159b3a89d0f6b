//! Around every request of the blog: how long it took, how it ended, and how the cache answered.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{SharedString, counter, histogram};
use pinchpoint_cache::trace;

const LONGEST: Duration = Duration::from_secs(60);
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = known(request.method());
    let began = Instant::now();
    let (ended, calls) = trace(tokio::time::timeout(LONGEST, next.run(request))).await;
    let mut response = ended.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response());
    // The last call is the one that the request was for; before it a session may have been looked up.
    if let Some((_, outcome)) = calls.last() {
        response.headers_mut().insert(X_CACHE, HeaderValue::from_static(outcome.as_str()));
    }
    let status = response.status().as_u16().to_string();
    let labels = [
        ("method", SharedString::from(method)),
        ("route", route.into()),
        ("status", status.into()),
    ];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", &labels).record(began.elapsed().as_secs_f64());
    response
}

/// A client can invent methods, and each would be a series of its own.
fn known(method: &Method) -> &'static str {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    all.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}
