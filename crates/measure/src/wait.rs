use serde::{Deserialize, Serialize};

/// What a session of the server waits for, whatever its version calls it.
///
/// Names of wait events change between versions of `PostgreSQL` and one name has two meanings
/// (`WALWrite` is an I/O event up to 16 and an `LWLock` in all), so rules never see a name: they see
/// these classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitClass {
    /// No wait is reported: on a CPU, waiting for one, held back by a limit, or blocked where
    /// nobody reports.
    Running,
    /// The flush of the write-ahead log: the leader's write and sync, and the followers that wait
    /// for the leader (`LWLock:WALWrite`).
    WalFlush,
    /// Placing records in the write-ahead log's buffers.
    WalInsert,
    /// Another lightweight lock: buffers, lock manager, snapshots.
    LwLock,
    /// A row that another transaction has changed: `Lock:transactionid`, `Lock:tuple`.
    RowLock,
    /// A relation, a page or another object locked by somebody.
    ObjectLock,
    /// Reading data files.
    DataRead,
    /// Writing, extending or syncing data files.
    DataWrite,
    /// Temporary files: sorts and hashes that do not fit into memory.
    TempFile,
    /// Active, and waiting for more of the statement from the client.
    ClientRead,
    /// Active, and waiting for the client to take the answer.
    ClientWrite,
    /// A standby's confirmation.
    Replica,
    /// Another process of the server: parallel workers, a checkpoint.
    Process,
    /// A pause on purpose: `pg_sleep`, vacuum's cost delay, commit delay.
    Pause,
    /// None of these.
    Other,
}

/// Every class, in the order in which it is shown.
pub const WAIT_CLASSES: [WaitClass; 15] = [
    WaitClass::Running,
    WaitClass::WalFlush,
    WaitClass::WalInsert,
    WaitClass::LwLock,
    WaitClass::RowLock,
    WaitClass::ObjectLock,
    WaitClass::DataRead,
    WaitClass::DataWrite,
    WaitClass::TempFile,
    WaitClass::ClientRead,
    WaitClass::ClientWrite,
    WaitClass::Replica,
    WaitClass::Process,
    WaitClass::Pause,
    WaitClass::Other,
];

impl WaitClass {
    /// The name in `result.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::WalFlush => "wal-flush",
            Self::WalInsert => "wal-insert",
            Self::LwLock => "lw-lock",
            Self::RowLock => "row-lock",
            Self::ObjectLock => "object-lock",
            Self::DataRead => "data-read",
            Self::DataWrite => "data-write",
            Self::TempFile => "temp-file",
            Self::ClientRead => "client-read",
            Self::ClientWrite => "client-write",
            Self::Replica => "replica",
            Self::Process => "process",
            Self::Pause => "pause",
            Self::Other => "other",
        }
    }

    /// One line for people.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Running => "no wait reported: CPU, or waiting for it",
            Self::WalFlush => "flush of the write-ahead log, and waiting for another's flush",
            Self::WalInsert => "placing records in the write-ahead log's buffers",
            Self::LwLock => "another lightweight lock",
            Self::RowLock => "a row that another transaction has changed",
            Self::ObjectLock => "a relation, page or other object locked by somebody",
            Self::DataRead => "reading data files",
            Self::DataWrite => "writing, extending or syncing data files",
            Self::TempFile => "temporary files of sorts and hashes",
            Self::ClientRead => "active, waiting for more from the client",
            Self::ClientWrite => "active, waiting for the client to take the answer",
            Self::Replica => "a standby's confirmation",
            Self::Process => "another process of the server",
            Self::Pause => "a pause on purpose",
            Self::Other => "none of these",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_result() {
        let mut names = std::collections::BTreeSet::new();
        for class in WAIT_CLASSES {
            assert!(names.insert(class.name()));
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        }
    }
}
