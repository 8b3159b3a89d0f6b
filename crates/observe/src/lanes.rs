use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::scheduling::Scheduled;

/// What takes less than this share of all is a helper, or a master that only watches its workers.
const HELPER: f64 = 0.02;
/// What has used so many times the time that went by has used more than a core: its extensions let go
/// of the interpreter, or it has more than one.
const MORE: f64 = 1.1;

/// CPU time of all that can use no more than one core at a time: threads, by their numbers, and
/// processes whose interpreter lets one of their threads run at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lanes {
    threads: BTreeMap<u32, Duration>,
    interpreters: BTreeMap<u32, Duration>,
}

impl Lanes {
    /// Adds a process whose threads take turns. What those have used that have ended is in `cpu`.
    pub(crate) fn add_interpreter(&mut self, pid: u32, cpu: Duration) {
        self.interpreters.insert(pid, cpu);
    }

    /// Adds the threads of any other process.
    pub(crate) fn add_threads(&mut self, threads: &BTreeMap<u32, Scheduled>) {
        self.threads.extend(threads.iter().map(|(thread, scheduled)| (*thread, scheduled.cpu)));
    }

    /// What the busiest one has used of the time since an earlier reading.
    pub(crate) fn busiest_since(&self, earlier: &Self, time: Duration) -> Option<Duration> {
        let one = |used: &Duration| *used <= time.mul_f64(MORE);
        let interpreters = since(&earlier.interpreters, &self.interpreters).filter(one);
        interpreters.chain(since(&earlier.threads, &self.threads)).max()
    }

    /// How many interpreters there are to share the work, where there is nothing else: all of them, but
    /// for the `head` that started the others and hardly works itself.
    pub(crate) fn at_work_since(&self, earlier: &Self, time: Duration, head: u32) -> Option<u32> {
        let used: Vec<Duration> = since(&earlier.interpreters, &self.interpreters).collect();
        let all: Duration = used.iter().sum();
        if !self.threads.is_empty() || all.is_zero() || used.iter().any(|u| *u > time.mul_f64(MORE))
        {
            return None;
        }
        let of_head = self.interpreters.get(&head).copied().unwrap_or_default();
        let of_head = of_head.saturating_sub(earlier.interpreters.get(&head).copied()?);
        let idle = used.len() > 1 && of_head.as_secs_f64() <= HELPER * all.as_secs_f64();
        u32::try_from(used.len() - usize::from(idle)).ok()
    }
}

/// What each has used since an earlier reading; one that came counts from its start.
fn since(
    earlier: &BTreeMap<u32, Duration>,
    now: &BTreeMap<u32, Duration>,
) -> impl Iterator<Item = Duration> {
    let before = |lane| earlier.get(lane).copied().unwrap_or_default();
    now.iter().map(move |(lane, cpu)| cpu.saturating_sub(before(lane)))
}

/// Whether a process's threads take turns: those of Python hold its global interpreter lock, those of
/// Ruby its virtual machine's, and JavaScript has one thread, beside helpers.
pub(crate) fn takes_turns(pid: u32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    is_interpreter(&program)
}

fn is_interpreter(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // Python without that lock is called python3.13t.
    let python = name.starts_with("python") && !name.ends_with('t');
    python || name.starts_with("ruby") || name == "node" || name == "nodejs"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(4);

    fn interpreters(used: &[(u32, u64)]) -> Lanes {
        let mut lanes = Lanes::default();
        for (pid, s) in used {
            lanes.add_interpreter(*pid, Duration::from_secs(*s));
        }
        lanes
    }

    fn threads(used: &[(u32, u64)]) -> Lanes {
        let of = |s| Scheduled { cpu: Duration::from_secs(s), delay: Duration::ZERO };
        let mut lanes = Lanes::default();
        lanes.add_threads(&used.iter().map(|(thread, s)| (*thread, of(*s))).collect());
        lanes
    }

    #[test]
    fn the_busiest_lane_is_that_of_the_time_between() {
        let (from, to) = (threads(&[(1, 50), (2, 5)]), threads(&[(1, 51), (2, 8), (3, 2)]));
        assert_eq!(to.busiest_since(&from, TIME), Some(Duration::from_secs(3)));
        assert_eq!(to.busiest_since(&to, TIME), Some(Duration::ZERO));
        assert_eq!(to.at_work_since(&from, TIME, 1), None, "there may be more threads");
        assert_eq!(Lanes::default().busiest_since(&to, TIME), None);
    }

    #[test]
    fn interpreters_share_the_work_without_an_idle_head() {
        let from = interpreters(&[(1, 9), (2, 100), (3, 7)]);
        let to = interpreters(&[(1, 9), (2, 104), (3, 8)]);
        assert_eq!(to.busiest_since(&from, TIME), Some(Duration::from_secs(4)));
        assert_eq!(to.at_work_since(&from, TIME, 1), Some(2));
        // One that had nothing to do this time may have the next.
        assert_eq!(to.at_work_since(&from, TIME, 3), Some(3));
        assert_eq!(to.at_work_since(&to, TIME, 1), None, "nothing was used");
    }

    #[test]
    fn what_used_more_than_a_core_is_not_held_to_one() {
        let (from, to) = (interpreters(&[(1, 0)]), interpreters(&[(1, 7)]));
        assert_eq!(to.busiest_since(&from, TIME), None);
        assert_eq!(to.at_work_since(&from, TIME, 1), None);
    }

    #[test]
    fn an_interpreter_is_known_by_its_program() {
        for (program, expected) in [
            ("/usr/bin/python3.11", true),
            ("/usr/local/bin/python3.13t", false),
            ("/usr/bin/ruby3.1", true),
            ("/usr/bin/node", true),
            ("/usr/bin/nodemon-rs", false),
            ("", false),
        ] {
            assert_eq!(is_interpreter(Path::new(program)), expected, "{program}");
        }
    }
}
