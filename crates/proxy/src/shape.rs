use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a way is slowed down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// Added to the way of every byte, in each direction: a round trip takes twice as much more.
    pub delay: Duration,
    /// Most bytes a second in each direction, all connections together; no cap when absent.
    pub bytes_per_s: Option<u64>,
}

/// A shape that may change while bytes are on their way; it counts for those that come in later.
#[derive(Debug, Default)]
pub(crate) struct LiveShape {
    delay_ns: AtomicU64,
    /// 0 for no cap.
    bytes_per_s: AtomicU64,
}

impl LiveShape {
    pub(crate) fn set(&self, shape: Shape) {
        let delay_ns = u64::try_from(shape.delay.as_nanos()).unwrap_or(u64::MAX);
        self.delay_ns.store(delay_ns, Ordering::Relaxed);
        // A cap of nothing would be a way that is closed; the slowest is a byte a second.
        self.bytes_per_s.store(shape.bytes_per_s.map_or(0, |b| b.max(1)), Ordering::Relaxed);
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn bytes_per_s(&self) -> Option<u64> {
        Some(self.bytes_per_s.load(Ordering::Relaxed)).filter(|b| *b > 0)
    }
}
