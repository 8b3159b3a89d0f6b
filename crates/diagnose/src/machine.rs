/// What a verdict needs to know of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Cores that server and load share.
    pub cpus: u32,
    /// Median duration of one `fdatasync` where the data lies, in microseconds.
    pub fsync_us: Option<f64>,
}

impl Machine {
    /// Cores, at least 1.
    pub(crate) fn cores(&self) -> f64 {
        f64::from(self.cpus.max(1))
    }

    /// Duration of one `fdatasync` in milliseconds, when it is known and can be true.
    pub(crate) fn fsync_ms(&self) -> Option<f64> {
        self.fsync_us.filter(|us| us.is_finite() && *us > 0.0).map(|us| us / 1000.0)
    }
}
