use std::collections::BTreeMap;

use pinchpoint_measure::BackendCpu;

use crate::link::Link;
use crate::missing::Gaps;
use crate::scheduling::{Scheduled, preemptions};
use crate::sessions::Sessions;
use crate::watched::Watched;

/// The load's server processes as the scheduler counts them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backends(BTreeMap<u32, (Scheduled, Option<u64>)>);

impl Backends {
    /// Reads those that are there now, of which some may just have been; none where the server is
    /// on another machine.
    pub(crate) async fn read(
        link: &mut Link,
        sessions: &Sessions,
        just_read: &[Watched],
        gaps: &mut Gaps,
    ) -> Self {
        if !link.facts.local {
            let reason = "the server's processes are not on this machine, or not to be seen";
            gaps.note("backends", reason);
            return Self::default();
        }
        let sql = format!(
            "SELECT pid FROM pg_stat_get_activity(NULL) WHERE {}",
            sessions.condition(&link.facts)
        );
        let sql = link.prepare(sql).await;
        let rows = match link.ask(&sql).await {
            Ok(rows) => rows,
            Err(reason) => {
                gaps.note("backends", reason);
                return Self::default();
            }
        };
        let pids = rows.into_iter().filter_map(|row| row.first()?.as_ref()?.parse::<u32>().ok());
        let known = |pid| just_read.iter().find_map(|process| process.thread(pid));
        let scheduled = |pid| known(pid).or_else(|| Scheduled::of_process(pid));
        let read = |pid| Some((pid, (scheduled(pid)?, preemptions(pid))));
        Self(pids.filter_map(read).collect())
    }

    /// What those that were there at both instants have used in between; `None` when there are
    /// none, as with a session for each operation.
    pub(crate) fn since(&self, earlier: &Self) -> Option<BackendCpu> {
        let mut sum = BackendCpu::default();
        for (pid, (now, preempted)) in &self.0 {
            let Some((then, preempted_then)) = earlier.0.get(pid) else { continue };
            sum.cpu_s += now.cpu.saturating_sub(then.cpu).as_secs_f64();
            sum.run_delay_s += now.delay.saturating_sub(then.delay).as_secs_f64();
            let more = preempted.zip(*preempted_then).map_or(0, |(n, t)| n.saturating_sub(t));
            sum.preemptions += more as f64;
            sum.processes += 1;
        }
        (sum.processes > 0).then_some(sum)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_those_that_stayed_are_compared() {
        let process = |pid, cpu_s, delay_s, preempted| {
            let scheduled =
                Scheduled { cpu: Duration::from_secs(cpu_s), delay: Duration::from_secs(delay_s) };
            (pid, (scheduled, Some(preempted)))
        };
        let before = Backends([process(1, 5, 1, 3), process(2, 9, 9, 9)].into());
        let after = Backends([process(1, 7, 2, 10), process(3, 50, 50, 50)].into());
        let expected = BackendCpu { cpu_s: 2.0, run_delay_s: 1.0, preemptions: 7.0, processes: 1 };
        assert_eq!(after.since(&before), Some(expected));
        assert_eq!(Backends::default().since(&before), None);
    }
}
