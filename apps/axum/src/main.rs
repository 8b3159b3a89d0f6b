//! The blog service on axum: sqlx and its pool, and a cache for what is asked for again and again.

mod client;
mod database;
mod db_test;
mod error;
mod extract;
mod graphql;
mod health;
mod layer;
mod meters;
mod openapi;
mod posts;
mod routes;
mod sessions;
mod settings;
mod state;
mod statics;
mod text;
mod turns;
mod users;

use std::error::Error;
use std::pin::pin;
use std::process::ExitCode;

use axum::serve::ListenerExt as _;
use metrics::counter;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use settings::Settings;
use state::Blog;

type Start<T> = Result<T, Box<dyn Error + Send + Sync>>;

async fn run(settings: Settings) -> Start<()> {
    // First of all: from here on a SIGTERM ends it well.
    let mut asked = signal(SignalKind::terminate())?;
    let handle = meters::install(meters::UPKEEP)?;
    let blog = tokio::select! {
        blog = Blog::new(settings, handle) => blog?,
        _ = asked.recv() => return Ok(()),
    };
    health::warm(&blog);
    serve(blog, asked).await
}

/// Serves until it is asked to end, and then has its grace time for all that is left to do.
async fn serve(blog: Blog, mut asked: Signal) -> Start<()> {
    let accepted = counter!("http_connections_accepted_total");
    let address = (blog.settings.host.clone(), blog.settings.port);
    let listener = TcpListener::bind(address).await?.tap_io(move |stream| {
        accepted.increment(1);
        // Without it an answer in two parts waits for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes::router(blog.clone()));
    let server = server.with_graceful_shutdown(async move { stopped.await.unwrap_or_default() });
    let mut server = pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        _ = asked.recv() => {}
    }
    let grace = blog.settings.grace;
    let end = Instant::now() + grace;
    drop(stop); // nobody is accepted any more
    // Requests that hang leave a little of the time for the rest. What is not done at the end is
    // cut off with the process.
    let _ = timeout_at(end - grace / 5, server).await;
    let _ = timeout_at(end, blog.close()).await;
    Ok(())
}

fn start() -> Start<()> {
    let settings = Settings::from_environment()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.workers)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run(settings));
    runtime.shutdown_background();
    ended
}

#[expect(clippy::print_stderr, reason = "whoever starts it is told why it did not")]
fn main() -> ExitCode {
    let Err(error) = start() else { return ExitCode::SUCCESS };
    eprintln!("pinchpoint-app-axum: {error}");
    ExitCode::FAILURE
}
