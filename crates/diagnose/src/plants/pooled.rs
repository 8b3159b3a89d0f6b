//! Scripts through a PgBouncer whose console is observed beside the server.

use pinchpoint_measure::{Observation, Phase, PoolerFigures, StackFigures, Trial, WaitClass};

use super::Plant;
use super::cases::{Case, process};

/// Eight users of one server connection: seven of them wait, and the server sees one session.
pub(super) fn pooled() -> Vec<Case> {
    let slots = Plant {
        users: 8,
        phases: vec![(Phase::Encode, 0.01), (Phase::Execute, 16.0)],
        waits: vec![(WaitClass::Running, "running", 1.0), (WaitClass::WalFlush, "IO:WALSync", 0.8)],
        backends: Some((0.9, 0.1)),
        cpu: 0.4,
        change: queue,
        ..Plant::quiet()
    };
    // Without a look at the server's sessions the queue is known all the same.
    let mut unsampled = slots.clone();
    unsampled.change = |trial, observation, stack| {
        queue(trial, observation, stack);
        observation.sessions = None;
    };
    // Where the wait is in the server, a few clients of the pooler wait behind it.
    let mut slow = Plant::waiting(WaitClass::RowLock, "Lock:transactionid", 10.0);
    slow.change = |_, observation, _| {
        observation.pooler = Some(PoolerFigures { samples: 90, ..PoolerFigures::default() });
    };
    let mut cpu = Plant { cpu: 0.4, ..Plant::quiet() };
    cpu.change = |_, observation, _| {
        observation.processes.push(process("pgbouncer", 0.1, 0.099, 0.9));
    };
    vec![
        ("a pooler's only slot under scripts", slots, "pooler-slots"),
        ("the same without samples", unsampled, "pooler-slots"),
        ("a row lock behind a pooler with room", slow, "row-lock"),
        ("the CPU of a pooler under scripts", cpu, "pooler-cpu"),
    ]
}

fn queue(trial: &mut Trial, observation: &mut Observation, _: &mut StackFigures) {
    // Seven eighths of each operation.
    let operations = trial.throughput_per_s * observation.seconds;
    let waited_us = operations * trial.latency_ms.avg * 875.0;
    observation.pooler = Some(PoolerFigures {
        totals: [("total_wait_time".to_owned(), waited_us as u64)].into(),
        clients_waiting_mean: 7.0,
        clients_waiting_most: 7,
        servers_active_mean: 1.0,
        samples: 90,
        ..PoolerFigures::default()
    });
}
