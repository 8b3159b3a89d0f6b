use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pinchpoint_load::Timer;

use crate::pool::Loan;

/// A pause before connections go back to the pool, which may change while the load runs. The user
/// does not wait for it, only whoever wants a connection: it makes the pool scarcer and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Hold(Arc<AtomicU64>);

impl Hold {
    /// Holds connections for so much longer, from now on.
    pub fn set(&self, pause: Duration) {
        self.0.store(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Gives a connection back, after the pause.
    pub(crate) fn give_back(&self, mut loan: Loan) {
        let pause = Duration::from_nanos(self.0.load(Ordering::Relaxed));
        if pause.is_zero() {
            return;
        }
        let until = Instant::now() + pause;
        tokio::spawn(async move {
            loan.timer.get_or_insert_with(Timer::new).sleep_until(until).await;
            drop(loan);
        });
    }
}
