//! Bounds that hold in the file and on the command line alike.

use std::time::Duration;

/// The longest trial, warm-up or stage.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// The shortest trial: nothing can be said of less.
pub(crate) const SHORTEST: Duration = Duration::from_millis(100);
/// The most trials.
pub(crate) const MOST_TRIALS: u32 = 1000;
/// The lowest and the highest target in rows per second.
pub(crate) const TARGETS: (f64, f64) = (0.001, 1e9);
