//! What changes from version to version of the server: names of wait events, and where counters
//! are kept. Nothing else in this crate knows a version.

use pinchpoint_measure::{Counter, WaitClass};

/// The class of a wait event, whatever the version: `("IO", "WALSync")` up to 16 and
/// `("IO", "WalSync")` since 17 are one.
///
/// The kind belongs to it: `IO:WALWrite` is a write of the log, `LWLock:WALWrite` the wait for
/// whoever flushes it for others too.
pub(crate) fn classify(kind: &str, event: &str) -> WaitClass {
    let event = event.to_ascii_lowercase();
    match kind {
        "" => WaitClass::Running,
        "IO" => io(&event),
        "LWLock" => match event.as_str() {
            "walwrite" => WaitClass::WalFlush,
            "walinsert" | "walbufmapping" => WaitClass::WalInsert,
            "bufferio" => WaitClass::DataRead,
            _ => WaitClass::LwLock,
        },
        // A unique key that another transaction is about to insert (`spectoken`) is its row.
        "Lock" => match event.as_str() {
            "transactionid" | "tuple" | "spectoken" => WaitClass::RowLock,
            _ => WaitClass::ObjectLock,
        },
        "BufferPin" | "Buffer" => WaitClass::LwLock,
        "Client" => match event.as_str() {
            "clientread" | "sslopenserver" | "gssopenserver" => WaitClass::ClientRead,
            "clientwrite" => WaitClass::ClientWrite,
            _ => WaitClass::Other,
        },
        "IPC" => match event.as_str() {
            "syncrep" => WaitClass::Replica,
            "bufferio" | "aioiocompletion" => WaitClass::DataRead,
            // Followers of whoever holds the lock on the list of transactions, or on their status.
            "procarraygroupupdate" | "xactgroupupdate" => WaitClass::LwLock,
            _ => WaitClass::Process,
        },
        "Activity" => WaitClass::Process,
        "Timeout" => match event.as_str() {
            "spindelay" => WaitClass::LwLock,
            "registersyncrequest" => WaitClass::DataWrite,
            _ => WaitClass::Pause,
        },
        _ => WaitClass::Other,
    }
}

fn io(event: &str) -> WaitClass {
    let begins = |with: &str| event.starts_with(with);
    match event {
        "walread" | "walcopyread" | "walcopysync" | "walcopywrite" => WaitClass::Other,
        _ if begins("wal") && (event.ends_with("write") || event.ends_with("sync")) => {
            WaitClass::WalFlush
        }
        _ if begins("walsyncmethod") => WaitClass::WalFlush,
        "datafileread" | "datafileprefetch" | "slruread" | "relationmapread" => WaitClass::DataRead,
        _ if begins("aioiouring") => WaitClass::DataRead,
        _ if begins("buffile") => WaitClass::TempFile,
        "walsendertimelinehistoryread" => WaitClass::Other,
        _ if ["datafile", "slru", "relationmap"].iter().any(|with| begins(with)) => {
            WaitClass::DataWrite
        }
        _ => WaitClass::Other,
    }
}

/// A view of the server's counters. Each is asked once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum View {
    /// `pg_stat_user_tables`.
    Tables,
    /// `pg_stat_wal`.
    Wal,
    /// `pg_stat_io`, since 16.
    Io,
    /// `pg_stat_bgwriter`.
    Background,
    /// `pg_stat_checkpointer`, since 17.
    Checkpointer,
    /// `pg_stat_database`, of this database; the last, as what is read before shows in it.
    Database,
}

/// Every view, in the order in which they are read before a load.
pub(crate) const VIEWS: [View; 6] =
    [View::Tables, View::Wal, View::Io, View::Background, View::Checkpointer, View::Database];

impl View {
    /// The server's name for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tables => "pg_stat_user_tables",
            Self::Wal => "pg_stat_wal",
            Self::Io => "pg_stat_io",
            Self::Background => "pg_stat_bgwriter",
            Self::Checkpointer => "pg_stat_checkpointer",
            Self::Database => "pg_stat_database",
        }
    }

    /// What follows `SELECT …`.
    pub(crate) const fn from(self) -> &'static str {
        match self {
            Self::Tables => "FROM pg_stat_user_tables",
            Self::Wal => "FROM pg_stat_wal",
            Self::Io => "FROM pg_stat_io",
            Self::Background => "FROM pg_stat_bgwriter",
            Self::Checkpointer => "FROM pg_stat_checkpointer",
            Self::Database => "FROM pg_stat_database WHERE datname = current_database()",
        }
    }
}

/// Where a version keeps a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// This expression over this view.
    At(View, &'static str),
    /// Nowhere.
    NotBefore(u32),
}

/// Where the server of this major version keeps a counter. Versions older than 14 are asked as 14
/// is, newer ones than 18 as 18; what they lack then is reported as missing.
pub(crate) fn place(counter: Counter, major: u32) -> Place {
    use Counter as C;
    let database = |expression| Place::At(View::Database, expression);
    let tables = |expression| Place::At(View::Tables, expression);
    match counter {
        C::WorkersWanted | C::WorkersLaunched if major < 18 => Place::NotBefore(18),
        C::WorkersWanted => database("parallel_workers_to_launch"),
        C::WorkersLaunched => database("parallel_workers_launched"),
        C::Sessions => database("sessions"),
        C::Commits => database("xact_commit"),
        C::Rollbacks => database("xact_rollback"),
        C::Deadlocks => database("deadlocks"),
        C::ActiveMs => database("active_time"),
        C::IdleInTransactionMs => database("idle_in_transaction_time"),
        C::BlocksRead => database("blks_read"),
        C::BlocksHit => database("blks_hit"),
        C::BlockReadMs => database("blk_read_time"),
        C::BlockWriteMs => database("blk_write_time"),
        C::RowsReturned => database("tup_returned"),
        C::RowsFetched => database("tup_fetched"),
        C::RowsInserted => database("tup_inserted"),
        C::RowsUpdated => database("tup_updated"),
        C::RowsDeleted => database("tup_deleted"),
        C::TempFiles => database("temp_files"),
        C::TempBytes => database("temp_bytes"),
        C::HotUpdates => tables("coalesce(sum(n_tup_hot_upd), 0)"),
        C::SequentialScans => tables("coalesce(sum(seq_scan), 0)"),
        C::SequentialRows => tables("coalesce(sum(seq_tup_read), 0)"),
        C::IndexScans => tables("coalesce(sum(idx_scan), 0)"),
        C::Vacuums => tables("coalesce(sum(autovacuum_count), 0)"),
        C::DeadRows => tables("coalesce(sum(n_dead_tup), 0)"),
        _ => of_the_server(counter, major),
    }
}

/// The counters that the server keeps for all databases together: what moved from view to view.
fn of_the_server(counter: Counter, major: u32) -> Place {
    use Counter as C;
    use View::{Background, Checkpointer, Io, Wal};
    let since = |version: u32, now: (View, &'static str), then: (View, &'static str)| {
        let (view, expression) = if major >= version { now } else { then };
        Place::At(view, expression)
    };
    match counter {
        C::WalRecords => Place::At(Wal, "wal_records"),
        C::WalFullPages => Place::At(Wal, "wal_fpi"),
        C::WalBytes => Place::At(Wal, "wal_bytes"),
        C::WalBuffersFull => Place::At(Wal, "wal_buffers_full"),
        C::WalWrites => {
            since(18, (Io, "sum(writes) FILTER (WHERE object = 'wal')"), (Wal, "wal_write"))
        }
        C::WalSyncs => {
            since(18, (Io, "sum(fsyncs) FILTER (WHERE object = 'wal')"), (Wal, "wal_sync"))
        }
        C::WalSyncMs => {
            since(18, (Io, "sum(fsync_time) FILTER (WHERE object = 'wal')"), (Wal, "wal_sync_time"))
        }
        C::CheckpointsTimed => {
            since(17, (Checkpointer, "num_timed"), (Background, "checkpoints_timed"))
        }
        C::CheckpointsRequested => {
            since(17, (Checkpointer, "num_requested"), (Background, "checkpoints_req"))
        }
        C::CheckpointWriteMs => {
            since(17, (Checkpointer, "write_time"), (Background, "checkpoint_write_time"))
        }
        C::CheckpointSyncMs => {
            since(17, (Checkpointer, "sync_time"), (Background, "checkpoint_sync_time"))
        }
        C::CheckpointBuffers => {
            since(17, (Checkpointer, "buffers_written"), (Background, "buffers_checkpoint"))
        }
        // Up to 15 these count pages by which files grew as well, and those of vacuum.
        C::BackendWrites => since(16, (Io, CLIENT_WRITES), (Background, "buffers_backend")),
        C::BackendSyncs => since(16, (Io, CLIENT_SYNCS), (Background, "buffers_backend_fsync")),
        _ => Place::NotBefore(u32::MAX),
    }
}

const CLIENT_WRITES: &str =
    "sum(writes) FILTER (WHERE backend_type = 'client backend' AND object = 'relation')";
const CLIENT_SYNCS: &str =
    "sum(fsyncs) FILTER (WHERE backend_type = 'client backend' AND object = 'relation')";

/// Settings without which some counters stay 0 and mean nothing.
pub(crate) const TIMING: [&str; 2] = ["track_io_timing", "track_wal_io_timing"];

/// Which of these a counter needs.
pub(crate) const fn needs_setting(counter: Counter) -> Option<&'static str> {
    match counter {
        Counter::BlockReadMs | Counter::BlockWriteMs => Some(TIMING[0]),
        Counter::WalSyncMs => Some(TIMING[1]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::COUNTERS;

    use super::*;

    #[test]
    fn each_version_keeps_each_counter_somewhere_or_says_since_when() {
        for major in 14..=18 {
            for counter in COUNTERS {
                match place(*counter, major) {
                    Place::At(View::Io, _) => assert!(major >= 16, "{counter:?} in {major}"),
                    Place::At(View::Checkpointer, _) => assert!(major >= 17, "{counter:?}"),
                    Place::At(_, expression) => assert!(!expression.is_empty()),
                    Place::NotBefore(since) => {
                        assert_eq!(since, 18, "{counter:?} has no place");
                        assert!(major < since, "{counter:?} in {major}");
                    }
                }
            }
        }
        assert_eq!(place(Counter::WalSyncs, 17), Place::At(View::Wal, "wal_sync"));
        assert!(matches!(place(Counter::WalSyncs, 18), Place::At(View::Io, _)));
        assert_eq!(place(Counter::WorkersWanted, 17), Place::NotBefore(18));
    }

    #[test]
    fn a_name_means_the_same_in_every_version() {
        for (kind, up_to_16, since_17, class) in [
            ("IO", "WALSync", "WalSync", WaitClass::WalFlush),
            ("IO", "WALWrite", "WalWrite", WaitClass::WalFlush),
            ("IO", "WALInitSync", "WalInitSync", WaitClass::WalFlush),
            ("IO", "SLRURead", "SlruRead", WaitClass::DataRead),
            ("IO", "SLRUSync", "SlruSync", WaitClass::DataWrite),
            ("IO", "BufFileWrite", "BuffileWrite", WaitClass::TempFile),
            ("LWLock", "WALWrite", "WALWrite", WaitClass::WalFlush),
            ("LWLock", "WALInsert", "WALInsert", WaitClass::WalInsert),
            ("LWLock", "BufferContent", "BufferContent", WaitClass::LwLock),
            ("Lock", "transactionid", "transactionid", WaitClass::RowLock),
            ("Lock", "tuple", "tuple", WaitClass::RowLock),
            ("Lock", "relation", "relation", WaitClass::ObjectLock),
            ("IO", "DataFileRead", "DataFileRead", WaitClass::DataRead),
            ("IO", "DataFileExtend", "DataFileExtend", WaitClass::DataWrite),
            ("IPC", "BufferIO", "BufferIo", WaitClass::DataRead),
            ("IPC", "SyncRep", "SyncRep", WaitClass::Replica),
            ("IPC", "ExecuteGather", "ExecuteGather", WaitClass::Process),
            ("Client", "ClientRead", "ClientRead", WaitClass::ClientRead),
            ("Client", "ClientWrite", "ClientWrite", WaitClass::ClientWrite),
            ("Timeout", "PgSleep", "PgSleep", WaitClass::Pause),
            ("Timeout", "VacuumDelay", "VacuumDelay", WaitClass::Pause),
            ("BufferPin", "BufferPin", "BufferPin", WaitClass::LwLock),
            ("", "", "", WaitClass::Running),
        ] {
            assert_eq!(classify(kind, up_to_16), class, "{kind}:{up_to_16}");
            assert_eq!(classify(kind, since_17), class, "{kind}:{since_17}");
        }
        // Since 18, reads are made by workers or the kernel.
        assert_eq!(classify("IPC", "AioIoCompletion"), WaitClass::DataRead);
        assert_eq!(classify("IO", "AioIoUringExecution"), WaitClass::DataRead);
        assert_eq!(classify("IO", "WALRead"), WaitClass::Other);
        assert_eq!(classify("Extension", "whatever"), WaitClass::Other);
    }
}
