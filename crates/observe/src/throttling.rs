use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a CPU limit held a control group's threads back, since the group was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Scheduler periods in which the group had something to run.
    pub periods: u64,
    /// Of these, the ones in which it used its quota up.
    pub throttled: u64,
    /// Time for which its threads were held back, all together.
    pub time: Duration,
}

impl Throttling {
    /// What was added since `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            periods: self.periods.saturating_sub(earlier.periods),
            throttled: self.throttled.saturating_sub(earlier.throttled),
            time: self.time.saturating_sub(earlier.time),
        }
    }

    /// Throttled periods ÷ periods, 0 to 1; 0 when there were none.
    pub fn share(&self) -> f64 {
        if self.periods == 0 { 0.0 } else { self.throttled as f64 / self.periods as f64 }
    }

    /// From `cpu.stat`: version 1 has `throttled_time` in nanoseconds, version 2 `throttled_usec`.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            text.lines().find_map(|line| {
                line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok()
            })
        };
        let time = value("throttled_usec")
            .map(Duration::from_micros)
            .or_else(|| value("throttled_time").map(Duration::from_nanos))?;
        Some(Self { periods: value("nr_periods")?, throttled: value("nr_throttled")?, time })
    }
}

/// Throttling of the group that carries a CPU limit; `None` when none of them does.
pub fn throttling(groups: &[PathBuf]) -> Option<Throttling> {
    groups
        .iter()
        .find_map(|group| Throttling::parse(&fs::read_to_string(group.join("cpu.stat")).ok()?))
}

/// Most memory that a group has used, in bytes; `None` when none of them counts it.
pub fn memory_peak(groups: &[PathBuf]) -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok()?.trim().parse().ok();
    groups.iter().find_map(|group| {
        read(&group.join("memory.peak")).or_else(|| read(&group.join("memory.max_usage_in_bytes")))
    })
}

/// Times that a group's memory limit stood in the way of an allocation, since the group was made;
/// `None` when none of them counts it.
pub(crate) fn memory_pushes(groups: &[PathBuf]) -> Option<u64> {
    groups.iter().find_map(|group| {
        let events = fs::read_to_string(group.join("memory.events")).ok();
        let max = events.as_deref().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("max ")?.trim().parse().ok())
        });
        max.or_else(|| fs::read_to_string(group.join("memory.failcnt")).ok()?.trim().parse().ok())
    })
}

/// The control groups of a process, version 1's for CPU and memory and version 2's; not the root,
/// which limits nothing.
pub(crate) fn groups_of(process: u32) -> Vec<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    parse_groups(&text).into_iter().filter(|path| path.is_dir()).collect()
}

/// Lines of a number, controllers and a path; see `cgroups(7)`.
fn parse_groups(text: &str) -> Vec<PathBuf> {
    let group = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let wanted = controllers.is_empty()
            || controllers.split(',').any(|name| matches!(name, "cpu" | "memory"));
        // A path that leads out of the root is that of another name space.
        let inside = !path.is_empty() && !path.split('/').any(|part| part == "..");
        (wanted && inside).then(|| Path::new("/sys/fs/cgroup").join(controllers).join(path))
    };
    text.lines().filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cpu_stat_are_read() {
        let old = "nr_periods 349\nnr_throttled 342\nthrottled_time 12000000\nnr_bursts 0\n";
        let new = "usage_usec 5\nnr_periods 349\nnr_throttled 342\nthrottled_usec 12000\n";
        let expected = Throttling { periods: 349, throttled: 342, time: Duration::from_millis(12) };
        assert_eq!(Throttling::parse(old), Some(expected));
        assert_eq!(Throttling::parse(new), Some(expected));
        assert_eq!(Throttling::parse("nr_periods 1\n"), None);
        assert!((expected.share() - 0.98).abs() < 0.001);
        assert_eq!(expected.since(&expected), Throttling::default());
        assert!(Throttling::default().share().abs() < f64::EPSILON);
    }

    #[test]
    fn a_group_without_the_file_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let groups = [root.path().join("none"), root.path().to_owned()];
        assert_eq!(throttling(&groups), None);
        fs::write(root.path().join("memory.peak"), "4096\n").unwrap();
        assert_eq!(memory_peak(&groups), Some(4096));
    }

    #[test]
    fn allocations_that_met_the_limit_are_counted_in_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let groups = [root.path().to_owned()];
        assert_eq!(memory_pushes(&groups), None);
        fs::write(root.path().join("memory.failcnt"), "7\n").unwrap();
        assert_eq!(memory_pushes(&groups), Some(7));
        fs::write(root.path().join("memory.events"), "low 0\nhigh 0\nmax 9\noom 0\n").unwrap();
        assert_eq!(memory_pushes(&groups), Some(9));
    }

    #[test]
    fn groups_are_found_by_their_controllers() {
        let text = "12:memory:/a/b\n11:cpu,cpuacct:/a\n5:pids:/a\n4:cpu:/\n0::/user.slice/x\n\
                    0::/../y\nbad\n";
        let groups = parse_groups(text);
        let expected = ["memory/a/b", "cpu,cpuacct/a", "user.slice/x"];
        let expected = expected.map(|path| Path::new("/sys/fs/cgroup").join(path));
        assert_eq!(groups, expected);
    }
}
