use std::fs;

/// CPU of the machine over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuUse {
    /// Time not idle and not waiting for a disk, in per cent of all cores; stolen time counts as
    /// busy, as in psutil.
    pub busy_percent: f64,
    /// Time that the hypervisor gave to others, as a share of all CPU time (0 to 1).
    pub steal_share: f64,
}

/// Reads how busy the machine was since the last reading.
#[derive(Debug)]
pub struct CpuSampler {
    last: Option<Times>,
}

impl CpuSampler {
    /// Takes the first reading.
    pub fn new() -> Self {
        Self { last: Times::read() }
    }

    /// CPU use since the last call (or since [`CpuSampler::new`]); `None` where the platform does
    /// not tell, or when the kernel's clock (usually 100 Hz) has not moved since.
    pub fn sample(&mut self) -> Option<CpuUse> {
        let now = Times::read()?;
        let Some(last) = self.last else {
            self.last = Some(now);
            return None;
        };
        let used = now.since(last)?;
        self.last = Some(now);
        Some(used)
    }
}

impl Default for CpuSampler {
    fn default() -> Self {
        Self::new()
    }
}

/// Ticks of all cores since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    total: u64,
    idle: u64,
    steal: u64,
}

impl Times {
    /// Time that programs of this machine used since `earlier`, in seconds of one core.
    pub(crate) fn used_since(self, earlier: Self) -> f64 {
        let busy = |t: Self| t.total.saturating_sub(t.idle).saturating_sub(t.steal);
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        busy(self).saturating_sub(busy(earlier)) as f64 / per_second as f64
    }

    pub(crate) fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// From the `cpu` line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
    /// What follows (guest time) is already in user and nice. See `proc_stat(5)`.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let mut fields = [0_u64; 8];
        let mut words = line.split_ascii_whitespace();
        for field in &mut fields {
            *field = words.next()?.parse().ok()?;
        }
        let total = fields.iter().try_fold(0_u64, |sum, field| sum.checked_add(*field))?;
        Some(Self { total, idle: fields[3] + fields[4], steal: fields[7] })
    }

    pub(crate) fn since(self, earlier: Self) -> Option<CpuUse> {
        let total = self.total.checked_sub(earlier.total).filter(|ticks| *ticks > 0)?;
        // iowait may run backwards (proc_stat(5)), so a difference is held between 0 and the whole.
        let share = |now: u64, then: u64| now.saturating_sub(then).min(total) as f64 / total as f64;
        Some(CpuUse {
            busy_percent: 100.0 * (1.0 - share(self.idle, earlier.idle)),
            steal_share: share(self.steal, earlier.steal),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &str = "cpu  9876 0 3917 407388 588 0 28 18 0 0\ncpu0 4702 0 1666 204414 85 0\n";

    #[test]
    fn use_is_the_difference_of_two_readings() {
        let before = Times::parse(BEFORE).unwrap();
        assert_eq!(before, Times { total: 421_815, idle: 407_976, steal: 18 });
        // 100 ticks later: 60 busy of which 10 stolen, 30 idle, 10 in iowait.
        let after = Times::parse("cpu 9916 0 3927 407418 598 0 28 28 0 0\n").unwrap();
        let used = after.since(before).unwrap();
        assert!((used.busy_percent - 60.0).abs() < 1e-9, "{used:?}");
        assert!((used.steal_share - 0.1).abs() < 1e-9, "{used:?}");
        // Stolen time is nobody's of this machine.
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        assert!((after.used_since(before) - 50.0 / per_second).abs() < 1e-9);
        assert_eq!(before.since(before), None);
        assert_eq!(before.since(after), None);
    }

    #[test]
    fn malformed_text_gives_nothing() {
        for text in [
            "",
            "cpu",
            "cpu  1 2 3",
            "cpu0 1 2 3 4 5 6 7 8 9 10",
            "cpu  1 2 3 x 5 6 7 8",
            "cpu  1 2 3 -4 5 6 7 8",
            "cpu 18446744073709551615 1 0 0 0 0 0 0",
        ] {
            assert_eq!(Times::parse(text), None, "{text}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_been_up_for_a_while() {
        let boot = Times { total: 0, idle: 0, steal: 0 };
        let used = Times::read().unwrap().since(boot).unwrap();
        assert!(used.busy_percent > 0.0 && used.busy_percent < 100.0, "{used:?}");
    }

    proptest! {
        #[test]
        fn shares_stay_in_range(before in prop::array::uniform8(0..1_u64 << 40),
                                after in prop::array::uniform8(0..1_u64 << 40)) {
            let times = |f: [u64; 8]| {
                Times::parse(&format!("cpu {}", f.map(|v| v.to_string()).join(" "))).unwrap()
            };
            if let Some(used) = times(after).since(times(before)) {
                prop_assert!((0.0..=100.0).contains(&used.busy_percent));
                prop_assert!((0.0..=1.0).contains(&used.steal_share));
            }
        }
    }
}
