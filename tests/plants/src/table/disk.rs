use std::time::Duration;

use crate::delays::Slow;
use crate::plant::{Beside, Decoy, Kind, Plant, Scene, State, Strength};

use super::{ANALYZE, KEY, TABLE, load_with};

pub(super) const INSERT: &str = "\\set n random(1, 1000000)\nINSERT INTO log VALUES (:n);\n";
pub(super) const LOG: &str = "CREATE TABLE log (n bigint)";
pub(super) const READ: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";
const READ_WIDE: &str = "\\set id random(1, 40000)\nSELECT length(x) FROM wide WHERE id = :id;\n";
/// Rows of so few pages that they stay in the smallest shared buffers.
const READ_FEW: &str = "\\set id random(1, 50)\nSELECT length(x) FROM wide WHERE id = :id;\n";
const UPDATE_WIDE: &str = "\\set id random(1, 40000)\nUPDATE wide SET n = n + 1 WHERE id = :id;\n";

/// Forty megabytes in 40,000 rows.
const WIDE: &[&str] = &[
    "CREATE TABLE wide (id int, n int, x text)",
    "ALTER TABLE wide ALTER x SET STORAGE PLAIN",
    "INSERT INTO wide SELECT i, 0, repeat('x', 900) FROM generate_series(1, 40000) i",
    "ALTER TABLE wide ADD PRIMARY KEY (id)",
    ANALYZE,
];

pub(super) const FSYNC_DELAY: Plant = Plant {
    name: "fsync-delay",
    how: "each flush of the WAL takes 0.1, 2 or 10 ms longer",
    wanted: &["wal-flush"],
    second: None,
    forbidden: &["lw-lock", "row-lock", "server-cpu"],
    kind: Kind::Bottleneck,
    scene: || Scene { delays: true, init: vec![LOG, TABLE, KEY, ANALYZE], ..Scene::default() },
    planted: |strength: Strength| State {
        slow: vec![(Slow::WalSync, Duration::from_micros(strength.of([100, 2_000, 10_000])))],
        ..load_with(8, INSERT, &["-M", "prepared"])
    },
    removed: |_| load_with(8, INSERT, &["-M", "prepared"]),
    decoy: Some(Decoy {
        how: "flushes take 10 ms longer beside a load that only reads",
        forbidden: &["data-io", "checkpoints"],
        planted: || State {
            slow: vec![(Slow::WalSync, Duration::from_millis(10))],
            ..load_with(8, READ, &["-M", "prepared"])
        },
        removed: || load_with(8, READ, &["-M", "prepared"]),
    }),
};

pub(super) const SLOW_READS: Plant = Plant {
    name: "slow-reads",
    how: "shared buffers of 1 MB for a table of 40, each read 0.05, 0.5 or 5 ms longer",
    wanted: &["data-io"],
    second: None,
    forbidden: &["server-cpu", "wal-flush", "lw-lock"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![("shared_buffers", "1MB")],
        delays: true,
        init: WIDE.to_vec(),
        ..Scene::default()
    },
    planted: |strength: Strength| State {
        slow: vec![(Slow::DataRead, Duration::from_micros(strength.of([50, 500, 5_000])))],
        ..load_with(8, READ_WIDE, &["-M", "prepared"])
    },
    removed: |_| load_with(8, READ_WIDE, &["-M", "prepared"]),
    decoy: Some(Decoy {
        how: "reads take 5 ms longer beside a load whose rows stay in shared buffers",
        forbidden: &["memory", "wal-flush"],
        planted: || State {
            slow: vec![(Slow::DataRead, Duration::from_millis(5))],
            ..load_with(8, READ_FEW, &["-M", "prepared"])
        },
        removed: || load_with(8, READ_FEW, &["-M", "prepared"]),
    }),
};

const SMALL_WAL: &[&str] = &["ALTER SYSTEM SET max_wal_size = '32MB'", "SELECT pg_reload_conf()"];
const LARGE_WAL: &[&str] = &["ALTER SYSTEM SET max_wal_size = '4GB'", "SELECT pg_reload_conf()"];

/// Random updates on a disk that takes so many microseconds for each 8 kB of WAL.
fn updates(strength: Strength, wal_size: &[&'static str]) -> State {
    let page = Duration::from_micros(strength.of([50, 200, 500]));
    State {
        before: wal_size.to_vec(),
        slow: vec![(Slow::WalWrite, page)],
        // Each page's first change is over by then.
        ..load_with(strength.of([8, 16, 32]), UPDATE_WIDE, &["--warmup", "4s"])
    }
}

pub(super) const CHECKPOINTS: Plant = Plant {
    name: "checkpoint-storm",
    how: "random updates with a max_wal_size of 32 MB, so a checkpoint every other second and an image of each page \
          changed since, on a disk that takes 0.05, 0.2 or 0.5 ms for 8 kB of WAL, by 8, 16 or 32 clients",
    wanted: &["checkpoints"],
    second: None,
    forbidden: &["row-lock", "lw-lock", "inconclusive"],
    kind: Kind::Bottleneck,
    scene: || Scene { delays: true, init: WIDE.to_vec(), ..Scene::default() },
    planted: |strength: Strength| updates(strength, SMALL_WAL),
    removed: |strength: Strength| updates(strength, LARGE_WAL),
    decoy: Some(Decoy {
        how: "a CHECKPOINT of another application's every 100 ms beside a load that only reads",
        forbidden: &["wal-flush", "data-io"],
        planted: || State {
            beside: Beside::Session(vec![("CHECKPOINT", Duration::from_millis(100))]),
            ..load_with(8, READ_WIDE, &["-M", "prepared"])
        },
        removed: || load_with(8, READ_WIDE, &["-M", "prepared"]),
    }),
};

/// A sort in memory of so many rows of 32 characters.
const SORT: &str = "SELECT count(*) FROM (SELECT md5(i::text) AS m FROM generate_series(1, 60000) i \
                    ORDER BY m OFFSET 0) s;\n";
const SORT_LITTLE: &str = "SELECT count(*) FROM (SELECT md5(i::text) AS m FROM generate_series(1, \
                           3000) i ORDER BY m OFFSET 0) s;\n";

pub(super) const SWAP: Plant = Plant {
    name: "swap",
    how: "a memory limit of 72, 64 or 60 MB for the server, of whose 8 clients each sorts about 10 MB in \
          memory, and a swap device in compressed memory (zram)",
    wanted: &["memory"],
    second: None,
    forbidden: &["data-io", "wal-flush", "temp-files"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![("shared_buffers", "8MB"), ("work_mem", "64MB")],
        memory_bytes: Some(1 << 30),
        swap_bytes: Some(1 << 30),
        ..Scene::default()
    },
    planted: |strength: Strength| State {
        memory_bytes: Some(strength.of([72, 64, 60]) << 20),
        ..load_with(8, SORT, &["-M", "prepared"])
    },
    removed: |_| load_with(8, SORT, &["-M", "prepared"]),
    decoy: Some(Decoy {
        how: "a limit of 64 MB and the same device beside sorts of half a megabyte",
        forbidden: &["data-io", "temp-files"],
        planted: || State {
            memory_bytes: Some(64 << 20),
            ..load_with(8, SORT_LITTLE, &["-M", "prepared"])
        },
        removed: || load_with(8, SORT_LITTLE, &["-M", "prepared"]),
    }),
};

const READ_LARGE: &str =
    "\\set id random(1, 160000)\nSELECT length(x) FROM large WHERE id = :id;\n";
const READ_LITTLE: &str = "\\set id random(1, 8000)\nSELECT length(x) FROM large WHERE id = :id;\n";

pub(super) const MEMORY: Plant = Plant {
    name: "memory",
    how: "a memory limit of 150, 64 or 48 MB for the server, whose table of 160 MB is read through the page cache",
    wanted: &["memory"],
    second: None,
    forbidden: &["server-cpu", "wal-flush", "lw-lock"],
    kind: Kind::Bottleneck,
    scene: || Scene {
        settings: vec![("shared_buffers", "8MB")],
        init: vec![
            "CREATE TABLE large (id int, x text)",
            "ALTER TABLE large ALTER x SET STORAGE PLAIN",
            "INSERT INTO large SELECT i, repeat('x', 900) FROM generate_series(1, 160000) i",
            "ALTER TABLE large ADD PRIMARY KEY (id)",
            ANALYZE,
        ],
        memory_bytes: Some(1 << 30),
        ..Scene::default()
    },
    planted: |strength: Strength| State {
        memory_bytes: Some(strength.of([150, 64, 48]) << 20),
        ..load_with(8, READ_LARGE, &["-M", "prepared"])
    },
    removed: |_| load_with(8, READ_LARGE, &["-M", "prepared"]),
    decoy: Some(Decoy {
        how: "a limit of 64 MB beside a load that reads 8 MB of the table",
        forbidden: &["data-io", "wal-flush"],
        planted: || State {
            memory_bytes: Some(64 << 20),
            ..load_with(8, READ_LITTLE, &["-M", "prepared"])
        },
        removed: || load_with(8, READ_LITTLE, &["-M", "prepared"]),
    }),
};
