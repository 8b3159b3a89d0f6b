//! Around every request of the blog: how long it took, how it ended, and how the cache answered.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{SharedString, counter, histogram};
use pinchpoint_cache::trace;

use crate::error::Failure;

const LONGEST: Duration = Duration::from_secs(60);
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = known(request.method());
    let began = Instant::now();
    let (mut response, calls) = trace(within(LONGEST, next.run(request))).await;
    // What a change answers comes from no cache, though its session may. Of a read, the last call is
    // the one that the request was for; before it a session may have been looked up.
    let read = matches!(method, "GET" | "HEAD");
    if let Some((_, outcome)) = calls.last().filter(|_| read) {
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

/// What takes longer is given up: its handler is dropped.
async fn within(limit: Duration, response: impl Future<Output = Response>) -> Response {
    let ended = tokio::time::timeout(limit, response).await;
    ended.unwrap_or_else(|_| Failure::Busy.into_response())
}

/// A client can invent methods, and each would be a series of its own.
fn known(method: &Method) -> &'static str {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    all.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use axum::http::{StatusCode, header};

    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_may_be_asked_again() {
        let response = within(Duration::from_millis(1), std::future::pending()).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = within(LONGEST, async { StatusCode::OK.into_response() }).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}
