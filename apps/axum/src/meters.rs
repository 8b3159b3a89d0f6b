//! The service's metrics: where they are kept, and `/metrics`.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics::gauge;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use crate::state::Blog;

/// Often enough that what piles up meanwhile is small, and quick to work through.
pub(crate) const UPKEEP: Duration = Duration::from_secs(1);

/// From a hit in memory to a query that waits for its turn, in seconds.
const BUCKETS: [f64; 22] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Installs the recorder of this process. A histogram keeps each sample until it is put into its
/// bucket, by a scrape or by upkeep: without one of them it grows with every request.
pub(crate) fn install(upkeep: Duration) -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
    let kept = handle.clone();
    tokio::spawn(async move {
        let mut turns = tokio::time::interval(upkeep);
        loop {
            turns.tick().await;
            kept.run_upkeep();
        }
    });
    Ok(handle)
}

pub(crate) async fn show(State(blog): State<Blog>) -> Response {
    let (size, idle) = (blog.database.pool.size(), blog.database.pool.num_idle());
    gauge!("db_pool_connections", "state" => "idle").set(idle as f64);
    gauge!("db_pool_connections", "state" => "used").set(f64::from(size) - idle as f64);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], blog.parts.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilobytes of memory that this process holds.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn samples_that_nobody_scrapes_do_not_pile_up() {
        let handle = install(Duration::from_millis(1)).unwrap();
        let seconds = metrics::histogram!("some_seconds");
        let mut after_the_first = None;
        for _ in 0..100 {
            (0..20_000).for_each(|_| seconds.record(0.003));
            tokio::time::sleep(Duration::from_millis(2)).await;
            after_the_first.get_or_insert_with(resident);
        }
        let grown = resident().saturating_sub(after_the_first.unwrap());
        assert!(grown < 4096, "two million samples took {grown} kB");
        let text = handle.render();
        assert!(text.contains("some_seconds_bucket{le=\"0.005\"} 2000000\n"), "{text}");
        assert!(text.contains("some_seconds_bucket{le=\"0.0025\"} 0\n"), "{text}");
    }
}
