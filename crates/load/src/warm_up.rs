use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pinchpoint_stats::Steadiness;

use crate::Session;

/// How long to run before measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUpPolicy {
    /// Until the throughput is steady, for this long at most.
    Auto {
        /// The bound.
        at_most: Duration,
        /// Users that must have had an answer before: one may take longer than throughput takes to
        /// look steady.
        users: u64,
    },
    /// This long, steady or not.
    Fixed(Duration),
}

/// How a warm-up went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmedUp {
    /// How long it took.
    pub duration: Duration,
    /// Whether throughput had become steady; a fixed warm-up is tested too.
    pub settled: bool,
}

/// One look at the load during the warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmUpTick {
    /// Time since the warm-up began.
    pub elapsed: Duration,
    /// The longest that it may take.
    pub at_most: Duration,
    /// Rows per second since the last look.
    pub rows_per_s: f64,
    /// Operations failed since the start.
    pub failed: u64,
}

/// The length of the slices that steadiness is judged on.
pub const SLICE: Duration = Duration::from_millis(100);

/// Lets the load run until its throughput is steady. `tick` is called once a slice; it may stop
/// the warm-up early by answering `false`.
pub async fn warm_up(
    session: &Session,
    policy: WarmUpPolicy,
    mut tick: impl FnMut(WarmUpTick) -> bool,
) -> WarmedUp {
    let steadiness = Steadiness::default();
    let at_most = match policy {
        WarmUpPolicy::Auto { at_most, .. } => at_most,
        WarmUpPolicy::Fixed(length) => length,
    };
    let began = Instant::now();
    let mut slices: VecDeque<f64> = VecDeque::with_capacity(steadiness.window + 1);
    let (mut last, mut last_rows) = (began, session.totals().rows);
    loop {
        let done = match policy {
            WarmUpPolicy::Auto { users, .. } => session.totals().users_answered >= users,
            WarmUpPolicy::Fixed(_) => true,
        };
        let steady = done && steadiness.is_steady(slices.make_contiguous());
        let elapsed = began.elapsed();
        let enough = elapsed >= at_most || (steady && matches!(policy, WarmUpPolicy::Auto { .. }));
        if enough {
            return WarmedUp { duration: elapsed, settled: steady };
        }
        tokio::time::sleep(SLICE.min(at_most.saturating_sub(elapsed))).await;
        let (now, totals) = (Instant::now(), session.totals());
        let seconds = now.duration_since(last).as_secs_f64();
        let rows_per_s = (totals.rows - last_rows) as f64 / seconds.max(1e-9);
        (last, last_rows) = (now, totals.rows);
        slices.push_back(rows_per_s);
        if slices.len() > steadiness.window {
            slices.pop_front();
        }
        let seen =
            WarmUpTick { elapsed: began.elapsed(), at_most, rows_per_s, failed: totals.failed };
        if !tick(seen) {
            return WarmedUp { duration: began.elapsed(), settled: false };
        }
    }
}
