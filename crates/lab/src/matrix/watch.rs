//! Looks at the processes' memory while a case is measured. The rest is the observer's.

use std::time::Duration;

use pinchpoint_measure::{Counter, Observation, ProcessFigures, SessionFigures};
use pinchpoint_observe::Watched;

/// Between two readings of memory, which means looking through every process of the machine.
const MEMORY_EVERY: Duration = Duration::from_secs(1);

/// What is watched around a measured part, beside what the observer sees.
pub(crate) struct Watch {
    processes: Vec<Watched>,
}

impl Watch {
    pub(crate) const fn new(processes: Vec<Watched>) -> Self {
        Self { processes }
    }

    /// Looks while `measured` goes on.
    pub(crate) async fn during<T>(&mut self, measured: impl Future<Output = T>) -> T {
        let mut measured = std::pin::pin!(measured);
        let mut ticks = tokio::time::interval(MEMORY_EVERY);
        loop {
            tokio::select! {
                biased;
                outcome = &mut measured => return outcome,
                _ = ticks.tick() => self.processes.iter_mut().for_each(Watched::note_memory),
            }
        }
    }

    /// Adds the memory that was seen to what the observer saw of the processes.
    pub(crate) fn end(mut self, processes: &mut [ProcessFigures]) {
        for figures in processes {
            let own = self.processes.iter_mut().find(|process| process.name() == figures.name);
            figures.resident_bytes = own.map(Watched::take_memory).unwrap_or_default();
        }
    }
}

/// The sessions of the load on the server, of which the configuration allows so many.
pub(crate) fn sessions(observation: &Observation, allowed: Option<u64>) -> SessionFigures {
    let counted = |counter| observation.counter(counter).map(|count| count as u64);
    let ended = counted(Counter::Commits).zip(counted(Counter::Rollbacks));
    let samples = observation.sessions.as_ref();
    SessionFigures {
        most: samples.map_or(0, |sessions| sessions.most),
        opened: counted(Counter::Sessions).unwrap_or(0),
        allowed,
        samples: samples.map_or(0, |sessions| sessions.looks),
        transactions: ended.map(|(commits, rollbacks)| commits + rollbacks),
    }
}
