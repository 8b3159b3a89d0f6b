use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::scheduling::Scheduled;

/// What takes less than this share of all is a helper, or a master that only watches its workers.
const HELPER: f64 = 0.02;

/// CPU time of all that can use no more than one core at a time: threads, by their numbers, and
/// processes whose interpreter lets one of their threads run at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lanes {
    used: BTreeMap<u32, Duration>,
    /// Threads of programs that are no such interpreters: a runtime may start more of them.
    free: bool,
}

impl Lanes {
    /// Adds a process with its threads.
    pub(crate) fn add(&mut self, pid: u32, threads: &BTreeMap<u32, Scheduled>) {
        if takes_turns(pid) {
            self.used.insert(pid, threads.values().map(|thread| thread.cpu).sum());
        } else {
            self.free = true;
            self.used.extend(threads.iter().map(|(thread, scheduled)| (*thread, scheduled.cpu)));
        }
    }

    /// What each has used since an earlier reading; one that came counts from its start.
    fn since(&self, earlier: &Self) -> impl Iterator<Item = Duration> {
        let before = |lane| earlier.used.get(lane).copied().unwrap_or_default();
        self.used.iter().map(move |(lane, cpu)| cpu.saturating_sub(before(lane)))
    }

    /// What the busiest one has used since an earlier reading.
    pub(crate) fn busiest_since(&self, earlier: &Self) -> Option<Duration> {
        self.since(earlier).max()
    }

    /// How many there are at work, where there can be no more.
    pub(crate) fn at_work_since(&self, earlier: &Self) -> Option<u32> {
        let all: Duration = self.since(earlier).sum();
        let works = |used: &Duration| used.as_secs_f64() > HELPER * all.as_secs_f64();
        (!self.free && !all.is_zero()).then(|| self.since(earlier).filter(works).count() as u32)
    }
}

/// Whether a process's threads take turns: those of Python hold its global interpreter lock, those of
/// Ruby its virtual machine's, and JavaScript has one thread, beside helpers.
fn takes_turns(pid: u32) -> bool {
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

    fn seconds(pairs: &[(u32, u64)]) -> BTreeMap<u32, Scheduled> {
        let of = |s| Scheduled { cpu: Duration::from_secs(s), delay: Duration::ZERO };
        pairs.iter().map(|(thread, s)| (*thread, of(*s))).collect()
    }

    #[test]
    fn the_busiest_lane_is_that_of_the_time_between() {
        let own = std::process::id();
        let (mut before, mut after) = (Lanes::default(), Lanes::default());
        before.add(own, &seconds(&[(1, 50), (2, 5)]));
        after.add(own, &seconds(&[(1, 51), (2, 8), (3, 2)]));
        assert_eq!(after.busiest_since(&before), Some(Duration::from_secs(3)));
        assert_eq!(after.busiest_since(&after), Some(Duration::ZERO));
        assert_eq!(after.at_work_since(&before), None, "there may be more threads");
        assert_eq!(Lanes::default().busiest_since(&after), None);
    }

    #[test]
    fn interpreters_at_work_are_counted_without_their_master() {
        let used = |seconds: &[(u32, u64)]| Lanes {
            used: seconds.iter().map(|(pid, s)| (*pid, Duration::from_secs(*s))).collect(),
            free: false,
        };
        let (before, after) = (used(&[(1, 9), (2, 100)]), used(&[(1, 9), (2, 140), (3, 60)]));
        assert_eq!(after.at_work_since(&before), Some(2));
        assert_eq!(after.at_work_since(&after), None, "nothing was used");
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
