use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pinchpoint_measure::ProcessFigures;

use crate::lanes::{Lanes, takes_turns};
use crate::scheduling::{Scheduled, delay_since, threads_of};
use crate::throttling::memory_pushes;
use crate::{Throttling, TreeUse, memory_peak, process_tree, throttling};

/// A process under test with its descendants, read before and after a load.
#[derive(Debug, Clone)]
pub struct Watched {
    name: &'static str,
    pid: u32,
    groups: Vec<PathBuf>,
    cpus: Option<f64>,
    memory_bytes: Option<u64>,
    before: Option<Reading>,
    after: Option<Reading>,
    resident: Vec<u64>,
}

/// What they have used so far.
#[derive(Debug, Clone)]
struct Reading {
    at: Instant,
    tree: TreeUse,
    held: Option<Throttling>,
    pushes: Option<u64>,
    threads: BTreeMap<u32, Scheduled>,
    lanes: Lanes,
}

impl Watched {
    /// The process `pid`, in these control groups, with these limits; nothing without a process.
    pub fn new(
        name: &'static str,
        pid: Option<u32>,
        groups: &[PathBuf],
        cpus: Option<f64>,
        memory_bytes: Option<u64>,
    ) -> Option<Self> {
        Some(Self {
            name,
            pid: pid?,
            groups: groups.to_vec(),
            cpus,
            memory_bytes,
            before: None,
            after: None,
            resident: Vec::new(),
        })
    }

    /// Reads what was used before the load.
    pub fn begin(&mut self) {
        (self.before, self.after) = (self.read(), None);
        self.resident.clear();
    }

    /// Notes how much memory is resident now.
    pub fn note_memory(&mut self) {
        self.resident.extend(process_tree(self.pid).map(|tree| tree.resident_bytes));
    }

    /// Reads what has been used by the end of the load.
    pub fn end(&mut self) {
        self.after = self.read();
    }

    /// What one of its processes, of one thread, had been given when it was last read.
    pub(crate) fn thread(&self, pid: u32) -> Option<Scheduled> {
        self.after.as_ref().or(self.before.as_ref())?.threads.get(&pid).copied()
    }

    /// Lets the end of one stretch of time be the beginning of the next.
    pub(crate) fn turn(&mut self) {
        self.before = self.after.take();
        self.resident.clear();
    }

    /// What [`Watched::note_memory`] has noted.
    pub fn take_memory(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.resident)
    }

    /// `postgres`, `pgbouncer`, `redis`, `app`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    fn is_app(&self) -> bool {
        self.name == "app"
    }

    fn read(&self) -> Option<Reading> {
        let tree = process_tree(self.pid)?;
        let (mut threads, mut lanes) = (BTreeMap::new(), Lanes::default());
        for (pid, used) in &tree.own {
            let own = threads_of(*pid, used.threads == 1);
            if self.is_app() && takes_turns(*pid) {
                lanes.add_interpreter(*pid, used.cpu);
            } else if self.is_app() {
                lanes.add_threads(&own);
            }
            threads.extend(own);
        }
        let held = throttling(&self.groups);
        let pushes = memory_pushes(&self.groups);
        Some(Reading { at: Instant::now(), tree, held, pushes, threads, lanes })
    }

    /// CPU used in between.
    pub fn cpu(&self) -> Option<Duration> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        Some(after.tree.cpu.saturating_sub(before.tree.cpu))
    }

    /// What was used in between, for so many operations that succeeded.
    pub fn figures(&self, operations: u64) -> ProcessFigures {
        let mut figures = ProcessFigures {
            name: self.name.to_owned(),
            cpus: self.cpus,
            memory_bytes: self.memory_bytes,
            memory_peak_bytes: memory_peak(&self.groups),
            resident_bytes: self.resident.clone(),
            ..ProcessFigures::default()
        };
        let (Some(before), Some(after), Some(cpu)) = (&self.before, &self.after, self.cpu()) else {
            return figures;
        };
        figures.cpu_s = Some(cpu.as_secs_f64());
        figures.cpu_us_per_op =
            (operations > 0).then(|| cpu.as_secs_f64() * 1e6 / operations as f64);
        if !after.threads.is_empty() {
            figures.run_delay_s = Some(delay_since(&before.threads, &after.threads).as_secs_f64());
        }
        let time = after.at.saturating_duration_since(before.at);
        let busiest = after.lanes.busiest_since(&before.lanes, time);
        figures.busiest_lane_s = busiest.map(|cpu| cpu.as_secs_f64());
        figures.interpreters = after.lanes.at_work_since(&before.lanes, time, self.pid);
        if let (Some(before), Some(after)) = (&before.held, &after.held) {
            let held = after.since(before);
            figures.throttled_share = Some(held.share());
            figures.throttled_s = Some(held.time.as_secs_f64());
        }
        let pushes = after.pushes.zip(before.pushes);
        figures.memory_pushes = pushes.map(|(now, then)| now.saturating_sub(then));
        // Backends come and go with sessions; an application's processes stay.
        if self.is_app() {
            figures.restarts = after.tree.members.difference(&before.tree.members).count() as u64;
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_works_uses_cpu() {
        let mut watched =
            Watched::new("app", Some(std::process::id()), &[], Some(2.0), Some(1 << 30)).unwrap();
        watched.begin();
        // Ticks are 10 ms: work until some have passed.
        while watched.cpu().is_none_or(|cpu| cpu.is_zero()) {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
            watched.end();
        }
        watched.note_memory();
        let figures = watched.figures(10);
        assert!(figures.cpu_s.unwrap() > 0.0 && figures.cpu_us_per_op.unwrap() > 0.0);
        assert!(figures.run_delay_s.is_some() && figures.busiest_lane_s.unwrap() > 0.0);
        assert_eq!((figures.memory_bytes, figures.resident_bytes.len()), (Some(1 << 30), 1));
        assert_eq!(figures.throttled_share, None);
    }

    #[test]
    fn without_a_process_there_is_nothing_to_watch() {
        assert!(Watched::new("app", None, &[], None, None).is_none());
        // No process has this number.
        let watched = Watched::new("app", Some(u32::MAX), &[], None, None).unwrap();
        assert_eq!(watched.figures(0).cpu_s, None);
    }
}
