use crate::Machine;
use crate::reading::{Reading, positive};

/// Share of the null rung's throughput that a write is given at least, where that rung bounds it.
pub(crate) const CEILING_REACHED: f64 = 0.5;
/// CPU in use below which an operation also pays for waking idle cores and processes.
pub(crate) const MOSTLY_IDLE: f64 = 0.5;

/// From the smaller value to the larger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    pub lo: f64,
    pub hi: f64,
}

impl Range {
    pub(crate) fn exactly(value: f64) -> Self {
        Self { lo: value, hi: value }
    }

    /// The range with its ends multiplied: the lower by `lo`, the upper by `hi`.
    pub(crate) fn times(self, lo: f64, hi: f64) -> Self {
        Self { lo: self.lo * lo, hi: self.hi * hi }
    }
}

/// The demands of one operation, each from the least to the most that it may be.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// Operations under way.
    pub users: f64,
    /// Rows in an operation. The larger number goes with the lower demand for each row.
    pub rows: Range,
    /// Time of an operation that meets no other, in milliseconds.
    pub service_ms: Range,
    /// CPU of an operation, client's and server's, in milliseconds of one core.
    pub cpu_ms: Option<Range>,
    /// Share of the CPU in use where the figures come from.
    pub busy: f64,
    /// More users than cores there: times hold queueing, so only CPU scales.
    pub crowded: bool,
    /// What was assumed, step by step.
    pub basis: Vec<String>,
}

impl Model {
    /// The measured demands, before any change.
    pub(crate) fn of(reading: &Reading, machine: &Machine) -> Self {
        let cpu_ms = reading.cpu_ms(machine.cores());
        let users = super::target::active_users(&reading.factors);
        let crowded = users > machine.cores();
        // Without the others it would take its CPU and its share of a flush at least; what part
        // of the rest is queueing cannot be told.
        let alone = if crowded { cpu_ms.unwrap_or(0.0) } else { reading.service_ms };
        Self {
            users,
            rows: Range::exactly(reading.rows),
            service_ms: Range { lo: alone.min(reading.service_ms), hi: reading.service_ms },
            cpu_ms: cpu_ms.map(Range::exactly),
            busy: reading.cpu.unwrap_or(0.0),
            crowded,
            basis: Vec::new(),
        }
    }

    /// Rows per second that these demands allow; `None` when they bound nothing.
    ///
    /// Upper end: N ÷ R, and cores ÷ CPU for a row. Lower end: N ÷ (R + (N − 1)·D), D the CPU of an
    /// operation over all cores (the balanced job bound without its gain from delays); where times
    /// hold queueing, the same use of the CPU as before, and no more than N one after the other.
    pub(crate) fn throughput(&self, machine: &Machine) -> Option<Range> {
        let cores = machine.cores();
        let by_users = self.users * self.rows.hi / self.service_ms.lo;
        let hi = match self.cpu_ms {
            Some(cpu) => by_users.min(cores * self.rows.hi / cpu.lo),
            None => by_users,
        };
        let lo = match self.cpu_ms {
            Some(cpu) if self.crowded => {
                let flushes = 2.0 * machine.fsync_ms().unwrap_or(0.0);
                let as_before = self.busy * cores / cpu.hi;
                self.rows.lo * as_before.min(self.users / (cpu.hi + flushes))
            }
            Some(cpu) => {
                let queue = (self.users - 1.0) * cpu.hi / cores;
                self.rows.lo * self.users / (self.service_ms.hi + queue)
            }
            None if self.users > 1.0 && !self.crowded => return None,
            None => self.rows.lo * self.users / self.service_ms.hi,
        };
        let (lo, hi) = (positive(lo * 1000.0)?, positive(hi * 1000.0)?);
        Some(Range { lo: lo.min(hi), hi: hi.max(lo) })
    }
}
