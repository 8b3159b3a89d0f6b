use serde::{Deserialize, Serialize};

macro_rules! counters {
    ($($(#[$note:meta])* $variant:ident = $name:literal, $help:literal;)*) => {
        /// Something that the server counts, whatever its version calls it and wherever it keeps it.
        ///
        /// Times are in milliseconds, sizes in bytes, the rest are counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Counter {
            $(#[doc = $help] $(#[$note])* #[serde(rename = $name)] $variant,)*
        }

        /// Every counter, in the order in which it is shown.
        pub const COUNTERS: &[Counter] = &[$(Counter::$variant),*];

        impl Counter {
            /// The name in `result.json`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// One line for reference pages.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

counters! {
    Sessions = "sessions", "sessions opened in the database";
    Commits = "commits", "transactions committed";
    Rollbacks = "rollbacks", "transactions rolled back";
    Deadlocks = "deadlocks", "deadlocks found";
    ActiveMs = "active_ms", "time that sessions were executing statements, all together";
    IdleInTransactionMs = "idle_in_transaction_ms", "time that sessions held a transaction open and did nothing";
    BlocksRead = "blocks_read", "data pages asked of the operating system";
    BlocksHit = "blocks_hit", "data pages found in shared buffers";
    BlockReadMs = "block_read_ms", "time spent reading data pages (`track_io_timing`)";
    BlockWriteMs = "block_write_ms", "time spent writing data pages (`track_io_timing`)";
    RowsReturned = "rows_returned", "rows read by scans of tables and indexes";
    RowsFetched = "rows_fetched", "rows fetched by index scans";
    RowsInserted = "rows_inserted", "rows inserted";
    RowsUpdated = "rows_updated", "rows updated";
    RowsDeleted = "rows_deleted", "rows deleted";
    HotUpdates = "hot_updates", "updates that changed no index";
    SequentialScans = "sequential_scans", "sequential scans of user tables";
    SequentialRows = "sequential_rows", "rows read by sequential scans of user tables";
    IndexScans = "index_scans", "index scans of user tables";
    TempFiles = "temp_files", "temporary files made";
    TempBytes = "temp_bytes", "bytes written to temporary files";
    WalRecords = "wal_records", "records of the write-ahead log";
    WalFullPages = "wal_full_pages", "full page images in the write-ahead log";
    WalBytes = "wal_bytes", "bytes of the write-ahead log";
    WalBuffersFull = "wal_buffers_full", "times that WAL buffers had to be written because they were full";
    WalWrites = "wal_writes", "writes of the write-ahead log";
    WalSyncs = "wal_syncs", "flushes of the write-ahead log";
    WalSyncMs = "wal_sync_ms", "time spent in these flushes (`track_wal_io_timing`)";
    CheckpointsTimed = "checkpoints_timed", "checkpoints begun by the clock";
    CheckpointsRequested = "checkpoints_requested", "checkpoints begun because the WAL had grown, or on request";
    CheckpointWriteMs = "checkpoint_write_ms", "time spent writing in checkpoints";
    CheckpointSyncMs = "checkpoint_sync_ms", "time spent syncing in checkpoints";
    CheckpointBuffers = "checkpoint_buffers", "pages written by checkpoints";
    BackendWrites = "backend_writes", "pages written by backends themselves";
    BackendSyncs = "backend_syncs", "syncs of data files by backends themselves";
    Vacuums = "vacuums", "runs of autovacuum on user tables";
    DeadRows = "dead_rows", "dead rows in user tables: by how much they grew, or shrank";
    WorkersWanted = "workers_wanted", "parallel workers asked for (since 18)";
    WorkersLaunched = "workers_launched", "parallel workers that came (since 18)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_result() {
        let mut names = std::collections::BTreeSet::new();
        for counter in COUNTERS {
            assert!(names.insert(counter.name()));
            assert_eq!(serde_json::to_value(counter).unwrap(), counter.name());
            assert!(!counter.help().is_empty());
        }
    }
}
