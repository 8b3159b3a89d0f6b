//! The blog service on axum: sqlx and its pool, and a cache for what is asked for again and again.

mod client;
mod db_test;
mod error;
mod extract;
mod graphql;
mod health;
mod layer;
mod meters;
mod openapi;
mod posts;
mod sessions;
mod settings;
mod state;
mod statics;
mod text;
mod users;

use std::error::Error;
use std::process::ExitCode;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Router, middleware};
use metrics::counter;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use settings::{Role, Settings};
use state::Blog;

type Start<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A body larger than this is refused.
const LARGEST_BODY: usize = 64 << 10;

fn router(blog: Blog) -> Router {
    let own = match blog.settings.role {
        Role::Cache => Router::new().route("/cache/{id}", get(users::show).delete(users::forget)),
        Role::Service => Router::new()
            .route("/", get(openapi::front))
            .route("/api/users/{id}", get(users::show).put(users::change))
            .route(
                "/api/sessions",
                post(sessions::log_in).get(sessions::show).delete(sessions::log_out),
            )
            .route("/blog/api/posts", get(posts::list))
            .route("/blog/api/posts/{id}", get(posts::show))
            .route("/blog/api/categories", get(posts::categories))
            .route("/graphql", post(graphql::ask))
            .route("/static/{name}", get(statics::show))
            .route("/openapi.json", get(openapi::show)),
    };
    own.layer(middleware::from_fn(layer::observe))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        // Not observed: what a framework costs is measured here.
        .route("/benchmark/db-test", get(db_test::db_test))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(meters::show))
        .with_state(blog)
}

async fn serve(settings: Settings) -> Start<()> {
    let handle = meters::install(meters::UPKEEP)?;
    let address = (settings.host.clone(), settings.port);
    let blog = Blog::new(settings, handle).await?;
    health::warm(&blog);
    let accepted = counter!("http_connections_accepted_total");
    let listener = TcpListener::bind(address).await?.tap_io(move |stream| {
        accepted.increment(1);
        // Without it an answer in two parts waits for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let (mut asked, mut overdue) =
        (signal(SignalKind::terminate())?, signal(SignalKind::terminate())?);
    let grace = blog.settings.grace;
    let server = axum::serve(listener, router(blog.clone())).with_graceful_shutdown(async move {
        asked.recv().await;
    });
    tokio::select! {
        ended = server => ended?,
        // Requests that wait for a connection may have long to wait.
        () = async {
            overdue.recv().await;
            tokio::time::sleep(grace).await;
        } => {}
    }
    if let Some(users) = &blog.parts.users {
        users.close(grace).await;
    }
    blog.cache.shut_down();
    // Connections that are lent out would be waited for.
    let _ = tokio::time::timeout(grace, blog.pool.close()).await;
    Ok(())
}

fn start() -> Start<()> {
    let settings = Settings::from_environment()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.workers)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(settings));
    runtime.shutdown_background();
    ended
}

#[expect(clippy::print_stderr, reason = "whoever starts it is told why it did not")]
fn main() -> ExitCode {
    let Err(error) = start() else { return ExitCode::SUCCESS };
    eprintln!("pinchpoint-app-axum: {error}");
    ExitCode::FAILURE
}
