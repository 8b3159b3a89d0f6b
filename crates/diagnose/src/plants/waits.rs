use pinchpoint_measure::{Blocker, Counter, Phase, WaitClass};

use super::Plant;
use super::cases::Case;

/// Waits of the server's sessions, one class after the other.
pub(super) fn waits() -> Vec<Case> {
    let wait = Plant::waiting;
    let mut flush = wait(WaitClass::WalFlush, "IO:WALSync", 1.0);
    flush.counters = vec![(Counter::Commits, 1.0), (Counter::WalSyncs, 0.25)];
    let followers = wait(WaitClass::WalFlush, "LWLock:WALWrite", 1.0);
    let mut full = flush.clone();
    full.cpu = 0.97;
    // As measured where a forgotten transaction has savepoints: to sleep and be woken uses up the cores.
    let convoy = |lock_ms: f64| Plant {
        users: 16,
        phases: vec![(Phase::Execute, 5.9)],
        waits: vec![
            (WaitClass::LwLock, "LWLock:SubtransSLRU", lock_ms),
            (WaitClass::Running, "running", 5.1 - lock_ms),
        ],
        backends: Some((0.65, 3.2)),
        cpu: 0.94,
        client_share: 0.07,
        ..Plant::quiet()
    };
    let mut hot = wait(WaitClass::RowLock, "Lock:transactionid", 3.0);
    hot.change = |_, observation, _| {
        let blocker = Blocker {
            state: "active, IO:WALSync".to_owned(),
            class: Some(WaitClass::WalFlush),
            application: "pinchpoint-load".to_owned(),
            share: 0.9,
            query: None,
        };
        observation.sessions.as_mut().expect("sessions").blockers = vec![blocker];
    };
    vec![
        ("flush", flush, "wal-flush"),
        ("followers of a flush are no lock contention", followers, "wal-flush"),
        ("flush without CPU left", full, "server-cpu"),
        ("hot row", hot, "row-lock"),
        ("locked table", wait(WaitClass::ObjectLock, "Lock:relation", 2.0), "object-lock"),
        ("hot page", wait(WaitClass::LwLock, "LWLock:BufferContent", 1.0), "lw-lock"),
        ("a convoy that uses up the cores", convoy(4.5), "lw-lock"),
        ("a holder without a CPU", convoy(2.0), "server-cpu"),
        ("slow reads", wait(WaitClass::DataRead, "IO:DataFileRead", 1.0), "data-io"),
        ("sorts on disk", wait(WaitClass::TempFile, "IO:BufFileWrite", 1.0), "temp-files"),
        ("standby", wait(WaitClass::Replica, "IPC:SyncRep", 1.0), "replica"),
        ("sleep", wait(WaitClass::Pause, "Timeout:PgSleep", 1.0), "server-wait"),
        ("wide rows", wait(WaitClass::ClientWrite, "Client:ClientWrite", 1.0), "network"),
        ("copy", wait(WaitClass::ClientRead, "Client:ClientRead", 1.0), "network"),
    ]
}
