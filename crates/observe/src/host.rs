use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pinchpoint_measure::HostFigures;

use crate::cpu::Times;
use crate::disk::{Disk, DiskUse};
use crate::paging::Paging;
use crate::pressure::Pressure;
use crate::scheduling::{Scheduled, delay_since, threads_of};
use crate::tree::own_cpu;

/// The machine at one instant: what it has counted since it started.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    at: Instant,
    cpu: Option<Times>,
    pressure: Pressure,
    paging: Option<Paging>,
    disk: Option<DiskUse>,
    own_cpu: Option<Duration>,
    /// Time that threads of ours have waited for a CPU.
    own_threads: BTreeMap<u32, Scheduled>,
}

impl Host {
    /// With the disk under the server's data, where it is known.
    pub(crate) fn read(disk: Option<Disk>) -> Self {
        Self {
            at: Instant::now(),
            cpu: Times::read(),
            pressure: Pressure::read(),
            paging: Paging::read(),
            disk: disk.and_then(Disk::read),
            own_cpu: own_cpu(),
            own_threads: threads_of(std::process::id(), false),
        }
    }

    /// What happened since `earlier`. `tested` is the CPU of the processes under test, when they are
    /// known: what neither they nor we used was somebody else's.
    pub(crate) fn since(&self, earlier: &Self, tested: Option<Duration>) -> HostFigures {
        let micros = self.at.saturating_duration_since(earlier.at).as_secs_f64() * 1e6;
        let share = |now: Option<u64>, then: Option<u64>| {
            let grown = now?.saturating_sub(then?) as f64;
            (micros > 0.0).then(|| (grown / micros).min(1.0))
        };
        let used = self.cpu.zip(earlier.cpu);
        let ours = self.own_cpu.zip(earlier.own_cpu).map(|(now, then)| now.saturating_sub(then));
        let foreign = used.zip(tested).zip(ours).map(|(((now, then), tested), ours)| {
            (now.used_since(then) - (tested + ours).as_secs_f64()).max(0.0)
        });
        let cpu = used.and_then(|(now, then)| now.since(then));
        let paging = self.paging.zip(earlier.paging);
        let disk = self.disk.zip(earlier.disk);
        let flushes = disk.and_then(|(now, then)| now.flushes.zip(then.flushes)).map(
            |((count, ms), (count_then, ms_then))| {
                (count.saturating_sub(count_then), ms.saturating_sub(ms_then))
            },
        );
        HostFigures {
            cpu_share: cpu.map(|cpu| cpu.busy_percent / 100.0),
            steal_share: cpu.map(|cpu| cpu.steal_share),
            foreign_cpu_s: foreign,
            own_delay_s: (!self.own_threads.is_empty())
                .then(|| delay_since(&earlier.own_threads, &self.own_threads).as_secs_f64()),
            cpu_pressure: share(self.pressure.cpu, earlier.pressure.cpu),
            io_pressure: share(self.pressure.io, earlier.pressure.io),
            memory_pressure: share(self.pressure.memory, earlier.pressure.memory),
            swapped_pages: paging.map(|(n, t)| n.swapped.saturating_sub(t.swapped) as f64),
            major_faults: paging.map(|(n, t)| n.major_faults.saturating_sub(t.major_faults) as f64),
            disk_flushes: flushes.map(|(count, _)| count as f64),
            disk_flush_ms: flushes
                .filter(|(count, _)| *count > 0)
                .map(|(count, ms)| ms as f64 / count as f64),
            disk_busy: disk
                .and_then(|(now, then)| share(Some(now.busy_ms * 1000), Some(then.busy_ms * 1000))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(after: Duration, base: Instant) -> Host {
        let seconds = after.as_secs();
        Host {
            at: base + after,
            cpu: None,
            pressure: Pressure { cpu: Some(seconds * 500_000), io: Some(7), memory: None },
            paging: Some(Paging { swapped: seconds * 2, major_faults: 0 }),
            disk: Some(DiskUse {
                busy_ms: seconds * 250,
                flushes: Some((seconds * 10, seconds * 30)),
            }),
            own_cpu: None,
            own_threads: BTreeMap::from([(1, Scheduled { cpu: after, delay: after / 4 })]),
        }
    }

    #[test]
    fn figures_are_differences() {
        let base = Instant::now();
        let (before, after) = (host(Duration::ZERO, base), host(Duration::from_secs(4), base));
        let figures = after.since(&before, None);
        let expected = HostFigures {
            own_delay_s: Some(1.0),
            cpu_pressure: Some(0.5),
            io_pressure: Some(0.0),
            swapped_pages: Some(8.0),
            major_faults: Some(0.0),
            disk_flushes: Some(40.0),
            disk_flush_ms: Some(3.0),
            disk_busy: Some(0.25),
            ..HostFigures::default()
        };
        assert_eq!(figures, expected);
        let quiet = after.since(&after, None);
        assert_eq!((quiet.disk_flushes, quiet.disk_flush_ms), (Some(0.0), None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_ours_is_not_foreign() {
        let before = Host::read(None);
        let figures = Host::read(None).since(&before, Some(Duration::from_secs(1000)));
        assert_eq!(figures.foreign_cpu_s, Some(0.0));
    }
}
