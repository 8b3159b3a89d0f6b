//! Turns: so many at once, so many who wait for theirs, and whoever comes then is refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Failure;

pub(crate) struct Turns {
    at_once: u32,
    free: Arc<Semaphore>,
    waiting: Semaphore,
    patience: Duration,
}

impl Turns {
    /// `patience` is how long a turn is waited for.
    pub(crate) fn new(at_once: u32, waiting: usize, patience: Duration) -> Self {
        let free = Arc::new(Semaphore::new(at_once as usize));
        Self { at_once, free, waiting: Semaphore::new(waiting), patience }
    }

    /// A turn; it ends when what is returned is dropped, so that goes where the work is done.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let free = || Arc::clone(&self.free);
        if let Ok(turn) = free().try_acquire_owned() {
            return Ok(turn);
        }
        let _place = self.waiting.try_acquire().map_err(|_| Failure::Busy)?;
        let turn = tokio::time::timeout(self.patience, free().acquire_owned()).await;
        turn.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)
    }

    /// Waits for those under way; from then on nobody gets a turn.
    pub(crate) async fn close(&self) {
        let _all = self.free.acquire_many(self.at_once).await;
        self.free.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_too_late_is_refused_and_who_waits_too_long_too() {
        let turns = Arc::new(Turns::new(1, 1, Duration::from_millis(500)));
        let first = turns.take().await.unwrap();
        let wait = || {
            tokio::spawn({
                let turns = Arc::clone(&turns);
                async move { turns.take().await }
            })
        };
        let second = wait();
        tokio::task::yield_now().await;
        assert!(matches!(turns.take().await, Err(Failure::Busy)), "nobody waits behind it");
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert!(matches!(wait().await.unwrap(), Err(Failure::Busy)), "after its patience");
        drop(second);
        turns.close().await;
        assert!(matches!(turns.take().await, Err(Failure::Busy)), "closed");
    }
}
