use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use crate::proc_file::proc_text;

/// What a process and its descendants have used since they were started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeUse {
    /// CPU time, that of descendants which have ended included.
    pub cpu: Duration,
    /// Each living process by its number and its start.
    pub members: BTreeSet<(u32, u64)>,
    /// Bytes of memory resident now, all processes together; what they share counts in each.
    pub resident_bytes: u64,
    /// Each living process's own.
    pub(crate) own: BTreeMap<u32, OwnUse>,
}

/// What a process has used itself, without its children.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OwnUse {
    /// CPU time, that of threads which have ended included.
    pub(crate) cpu: Duration,
    /// Threads that it has now.
    pub(crate) threads: u64,
}

/// Reads what a process and its descendants have used; `None` where there is no such process or no
/// `/proc`.
///
/// The kernel adds a child's time to its parent's when the parent has waited for it, so the sum
/// over the living has that of the dead in it.
pub fn process_tree(pid: u32) -> Option<TreeUse> {
    let mut stats = BTreeMap::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        stats.extend(Stat::of(number).map(|stat| (number, stat)));
    }
    stats.get(&pid)?;
    let mut tree = TreeUse::default();
    let (mut found, mut at, mut ticks) = (vec![pid], 0, 0_u64);
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        if let Some(stat) = stats.get(&parent) {
            ticks = ticks.saturating_add(stat.ticks);
            tree.members.insert((parent, stat.started));
            let own = OwnUse { cpu: self::ticks(stat.own_ticks), threads: stat.threads };
            tree.own.insert(parent, own);
            let bytes = stat.pages.saturating_mul(rustix::param::page_size() as u64);
            tree.resident_bytes = tree.resident_bytes.saturating_add(bytes);
        }
        found.extend(stats.iter().filter(|(_, s)| s.parent == parent).map(|(child, _)| *child));
    }
    tree.cpu = self::ticks(ticks);
    Some(tree)
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    Some(Stat::of(pid)?.parent)
}

/// CPU time of this process, all threads, since it was started.
pub(crate) fn own_cpu() -> Option<Duration> {
    Some(ticks(Stat::of(std::process::id())?.ticks))
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(count.saturating_mul(1000) / per_second)
}

/// Part of `/proc/<pid>/stat`; see `proc_pid_stat(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time, own and of children waited for, in clock ticks.
    ticks: u64,
    /// The same without the children's.
    own_ticks: u64,
    threads: u64,
    /// Ticks from boot to its start.
    started: u64,
    /// Pages resident.
    pages: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&proc_text(&format!("/proc/{pid}/stat"))?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name in parentheses may hold anything; what follows it is regular.
        let mut fields = text.rsplit_once(") ")?.1.split_ascii_whitespace().skip(1);
        // The next field, so many left out.
        let mut after = |left_out: usize| fields.nth(left_out)?.parse::<u64>().ok();
        let parent = u32::try_from(after(0)?).ok()?;
        let own_ticks = after(9)?.saturating_add(after(0)?);
        let ticks = own_ticks.saturating_add(after(0)?).saturating_add(after(0)?);
        let (threads, started, pages) = (after(2)?, after(1)?, after(1)?);
        Some(Self { parent, ticks, own_ticks, threads, started, pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 3 4 20 0 1 0 987 1000 50";
        let expected =
            Stat { parent: 7, ticks: 40, own_ticks: 33, threads: 1, started: 987, pages: 50 };
        assert_eq!(Stat::parse(text), Some(expected));
        for bad in ["", "42 (x) S", "42 (x) S a b c d e f g h i j k l m n o p q r s t"] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_and_its_time_belong_to_the_tree() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let tree = process_tree(std::process::id()).unwrap();
        assert!(tree.members.iter().any(|(pid, _)| *pid == child.id()));
        assert_eq!(parent(child.id()), Some(std::process::id()));
        assert!(own_cpu().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        let after = process_tree(std::process::id()).unwrap();
        assert_eq!(parent(child.id()), None);
        assert!(!after.members.iter().any(|(pid, _)| *pid == child.id()));
        assert_eq!(process_tree(child.id()), None);
    }
}
