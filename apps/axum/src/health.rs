//! Whether the service lives, and whether it is ready.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use pinchpoint_cache::{Progress, Warming};
use serde::Serialize;

use crate::error::{Failure, unavailable};
use crate::posts::{get_categories, get_post};
use crate::state::Blog;
use crate::users::get_user;

/// A database that takes longer to say a word is not ready.
const PATIENCE: Duration = Duration::from_secs(1);

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
    let asked = tokio::time::timeout(PATIENCE, database_answers(&blog)).await;
    let database = asked.is_ok_and(|answered| answered.is_ok());
    let gate = blog.parts.gate.get();
    let Progress { done, total, .. } =
        gate.map_or(Progress { done: 0, failed: 0, total: 0 }, pinchpoint_cache::Gate::progress);
    let ready = database && gate.is_none_or(pinchpoint_cache::Gate::is_ready);
    let redis = blog.cache.is_whole();
    let body = Json(Readiness { ready, database, redis, warmed: done, to_warm: total });
    if ready { body.into_response() } else { unavailable(body) }
}

async fn database_answers(blog: &Blog) -> Result<(), Failure> {
    let mut connection = blog.database.connection().await?;
    let ask = sqlx::query("SELECT 1").persistent(blog.database.named);
    ask.execute(&mut *connection).await?;
    Ok(())
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
