//! Whether the service lives, and whether it is ready.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pinchpoint_cache::{Progress, Warming};
use serde::Serialize;

use crate::posts::{get_categories, get_post};
use crate::state::Blog;
use crate::users::get_user;

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
}

pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    database: bool,
    /// The cache may be whole or not: without Redis the service goes on.
    redis: bool,
    warmed: usize,
    to_warm: usize,
}

/// 200 when the database answers and the cache has been warmed, 503 until then.
pub(crate) async fn readyz(State(blog): State<Blog>) -> Response {
    let database = match blog.connection().await {
        Ok(mut connection) => sqlx::query("SELECT 1").execute(&mut *connection).await.is_ok(),
        Err(_) => false,
    };
    let gate = blog.parts.gate.get();
    let Progress { done, total, .. } =
        gate.map_or(Progress { done: 0, failed: 0, total: 0 }, pinchpoint_cache::Gate::progress);
    let ready = database && gate.is_none_or(pinchpoint_cache::Gate::is_ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let redis = blog.cache.is_whole();
    let body = Readiness { ready, database, redis, warmed: done, to_warm: total };
    (status, Json(body)).into_response()
}

/// Reads the first users and posts, and the categories, through the cache.
pub(crate) fn warm(blog: &Blog) {
    if blog.settings.warm <= 0 || !blog.settings.cache {
        return;
    }
    let mut warming = Warming::new().concurrency(8);
    for id in 1..=blog.settings.warm {
        let state = blog.clone();
        warming.call(move || async move { get_user(&state, id).await });
        let state = blog.clone();
        warming.call(move || async move { get_post(&state, id).await });
    }
    let state = blog.clone();
    warming.call(move || async move { get_categories(&state).await });
    // Set once: this is the only start.
    let _ = blog.parts.gate.set(warming.start());
}
