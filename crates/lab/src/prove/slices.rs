use std::time::{Duration, Instant};

use pinchpoint_load::Session;
use pinchpoint_observe::{CpuSampler, process_tree};
use pinchpoint_stack::Cancel;

use crate::error::LabError;

/// A quota of CPU is given out once in so long. A slice is a multiple of it, so that none has a
/// helping more than another.
const PERIOD: Duration = Duration::from_millis(100);
/// The longest slice, in periods.
const LONGEST: u32 = 10;

/// The length of a slice for a load whose trials take this long.
pub(super) fn slice_of(trial: Duration) -> Duration {
    let periods = (trial.as_secs_f64() / 4.0 / PERIOD.as_secs_f64()).ceil();
    PERIOD * (periods as u32).clamp(1, LONGEST)
}

/// A slice in which nothing has ended goes on for so many lengths: a stall of the disk is no reason to
/// give up a probe, and counts as the slowness that it is.
const LENGTHS: u32 = 3;

/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Short stretches of a load under way.
pub(super) struct Slices<'a> {
    session: &'a Session,
    length: Duration,
    pid: Option<u32>,
    cancel: &'a Cancel,
    machine: CpuSampler,
    /// CPU of these processes and operations, of all slices in which nothing was slowed.
    cpu: Duration,
    operations: u64,
}

/// What a slice gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    /// Operations a second.
    pub(super) per_s: f64,
    /// CPUs that the processes used whose demand it is; unknown where there is no `/proc` of them.
    pub(super) used_cpus: Option<f64>,
    /// CPUs that we used, with all that we started.
    pub(super) our_cpus: Option<f64>,
    /// Share of the machine's CPU in use, 0 to 1.
    pub(super) machine_busy: Option<f64>,
}

impl<'a> Slices<'a> {
    pub(super) fn new(
        session: &'a Session,
        length: Duration,
        pid: Option<u32>,
        cancel: &'a Cancel,
    ) -> Self {
        let machine = CpuSampler::new();
        Self { session, length, pid, cancel, machine, cpu: Duration::ZERO, operations: 0 }
    }

    /// Lets the load begin.
    pub(super) async fn warm_up(&self) -> Result<(), LabError> {
        self.pass(self.length).await
    }

    /// Gives the load time to follow a change.
    pub(super) async fn settle(&self) -> Result<(), LabError> {
        self.pass(self.length / 4).await
    }

    /// Lets time pass.
    async fn pass(&self, length: Duration) -> Result<(), LabError> {
        let until = Instant::now() + length;
        while Instant::now() < until {
            if self.cancel.is_cancelled() {
                return Err(LabError::Interrupted);
            }
            let rest = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(rest.min(LOOK)).await;
        }
        Ok(())
    }

    /// Measures a slice in which nothing is slowed.
    pub(super) async fn take(&mut self) -> Result<Slice, LabError> {
        self.take_as(false).await
    }

    pub(super) async fn take_as(&mut self, slowed: bool) -> Result<Slice, LabError> {
        self.machine.sample();
        let used = |pid: Option<u32>| pid.and_then(process_tree).map(|tree| tree.cpu);
        // What we started are children of ours.
        let own = Some(std::process::id());
        let (ours, cpu) = (used(own), used(self.pid));
        let (before, began) = (self.session.totals().operations, Instant::now());
        let mut operations = 0;
        for _ in 0..LENGTHS {
            self.pass(self.length).await?;
            operations = self.session.totals().operations - before;
            if operations > 0 {
                break;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let since =
            |now: Option<Duration>, before: Option<Duration>| Some(now?.saturating_sub(before?));
        let (cpu, ours) = (since(used(self.pid), cpu), since(used(own), ours));
        if !slowed {
            self.cpu += cpu.unwrap_or_default();
            self.operations += operations;
        }
        Ok(Slice {
            per_s: operations as f64 / seconds,
            used_cpus: cpu.map(|cpu| cpu.as_secs_f64() / seconds),
            our_cpus: ours.map(|cpu| cpu.as_secs_f64() / seconds),
            machine_busy: self.machine.sample().map(|cpu| cpu.busy_percent / 100.0),
        })
    }

    /// CPU of these processes for an operation, in milliseconds, where nothing was slowed.
    pub(super) fn cpu_ms_per_op(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.operations.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_about_a_quarter_of_a_trial_and_whole_periods_of_a_quota() {
        let ms = |trial| slice_of(Duration::from_millis(trial)).as_millis();
        assert_eq!(
            [0, 100, 400, 401, 1000, 3000, 4000, 60_000].map(ms),
            [100, 100, 100, 200, 300, 800, 1000, 1000]
        );
    }
}
