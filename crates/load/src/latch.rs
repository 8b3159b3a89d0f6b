use std::cell::Cell;

use tokio::sync::Notify;

/// A door between the tasks of one thread that opens once and stays open.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    open: Cell<bool>,
    notify: Notify,
}

impl Latch {
    pub(crate) fn open(&self) {
        self.open.set(true);
        self.notify.notify_waiters();
    }

    pub(crate) async fn passed(&self) {
        // Registered before the look, so that an opening in between is not missed.
        let notified = self.notify.notified();
        if !self.open.get() {
            notified.await;
        }
    }
}
