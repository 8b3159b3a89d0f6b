use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::proc_file::proc_text;

/// What the scheduler has given a thread, or a process of one thread, since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scheduled {
    /// Time on a CPU.
    pub(crate) cpu: Duration,
    /// Time ready to run, and waiting for a CPU.
    pub(crate) delay: Duration,
}

impl Scheduled {
    /// Of the process with this number; `None` when there is none.
    pub(crate) fn of_process(pid: u32) -> Option<Self> {
        Self::parse(&proc_text(&format!("/proc/{pid}/schedstat"))?)
    }

    /// `schedstat`: nanoseconds on a CPU, nanoseconds waiting for one, slices; see the kernel's
    /// `sched-stats.rst`.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let cpu = Duration::from_nanos(words.next()?.parse().ok()?);
        let delay = Duration::from_nanos(words.next()?.parse().ok()?);
        Some(Self { cpu, delay })
    }
}

/// What each thread of a process was given; `single` says that it is known to have one only.
pub(crate) fn threads_of(pid: u32, single: bool) -> BTreeMap<u32, Scheduled> {
    if single {
        return Scheduled::of_process(pid).map(|scheduled| (pid, scheduled)).into_iter().collect();
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = tasks.filter_map(|task| {
        let number = task.file_name().to_str()?.parse().ok()?;
        let text = proc_text(&format!("/proc/{pid}/task/{number}/schedstat"))?;
        Some((number, Scheduled::parse(&text)?))
    });
    threads.collect()
}

/// Time ready to run and waiting for a CPU that was added from one reading of [`threads_of`] to the
/// next; threads that ended in between have taken theirs with them.
pub(crate) fn delay_since(
    earlier: &BTreeMap<u32, Scheduled>,
    now: &BTreeMap<u32, Scheduled>,
) -> Duration {
    let before = |task| earlier.get(task).copied().unwrap_or_default();
    now.iter().map(|(task, now)| now.delay.saturating_sub(before(task).delay)).sum()
}

/// Times that a process was put off a CPU without asking for it.
pub(crate) fn preemptions(pid: u32) -> Option<u64> {
    preempted(&proc_text(&format!("/proc/{pid}/status"))?)
}

fn preempted(status: &str) -> Option<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_on_and_time_before_a_cpu_are_read() {
        let nanos = Duration::from_nanos;
        let expected = Scheduled { cpu: nanos(5_000_000), delay: nanos(7_000) };
        assert_eq!(Scheduled::parse("5000000 7000 12\n"), Some(expected));
        for bad in ["", "5", "x 7 1", "5 -7 1"] {
            assert_eq!(Scheduled::parse(bad), None, "{bad}");
        }
        assert_eq!(
            preempted("voluntary_ctxt_switches:\t9\nnonvoluntary_ctxt_switches:\t4\n"),
            Some(4)
        );
        assert_eq!(preempted("Name:\tx\n"), None);
    }

    #[test]
    fn a_thread_that_came_counts_from_its_start_and_one_that_left_not_at_all() {
        let delays = |pairs: &[(u32, u64)]| {
            let scheduled =
                |s| Scheduled { cpu: Duration::from_secs(9), delay: Duration::from_secs(s) };
            pairs.iter().map(|(task, s)| (*task, scheduled(*s))).collect()
        };
        let (before, after) = (delays(&[(1, 5), (2, 9)]), delays(&[(1, 7), (3, 1)]));
        assert_eq!(delay_since(&before, &after), Duration::from_secs(3));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_been_on_a_cpu() {
        let own = std::process::id();
        assert!(Scheduled::of_process(own).is_some());
        assert!(!threads_of(own, false).is_empty());
        assert_eq!(threads_of(own, true).len(), 1);
        assert!(preemptions(own).is_some());
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "([0-9]{1,22}| |\n|\\PC){0,20}") {
            let _ = Scheduled::parse(&text);
            let _ = preempted(&text);
        }
    }
}
