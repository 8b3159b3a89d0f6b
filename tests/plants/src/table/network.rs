use std::time::Duration;

use crate::delays::Slow;
use crate::plant::{Decoy, Kind, Plant, Scene, State, Strength, Way};

use super::disk::{INSERT, LOG};
use super::{ANALYZE, KEY, TABLE, load_with};

/// Four different statements, one after the other.
const FOUR: &str = "\\set id random(1, 10000)\n\
    SELECT x FROM t WHERE id = :id;\nSELECT n FROM t WHERE id = :id + 1;\n\
    SELECT id FROM t WHERE id = :id - 1;\nSELECT n, x FROM t WHERE id = :id;\n";
const WIDE: &str = "SELECT repeat('x', 20000);\n";
/// The same, of a server that takes its time.
const WIDE_AND_SLOW: &str = "SELECT repeat('x', 20000), pg_sleep(0.02);\n";
/// A statement that computes for milliseconds.
const COMPUTE: &str = "SELECT sum(i % 7) FROM generate_series(1, 20000) i;\n";

const PLAIN: Way = Way { delay: Duration::ZERO, bytes_per_s: None };

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

/// A way that takes so many microseconds in each direction.
const fn delayed(delay_us: u64) -> Way {
    Way { delay: Duration::from_micros(delay_us), ..PLAIN }
}

/// A way that carries so many bytes a second.
const fn narrow(bytes_per_s: u64) -> Way {
    Way { bytes_per_s: Some(bytes_per_s), ..PLAIN }
}

pub(super) const ROUND_TRIPS: Plant = Plant {
    name: "round-trips",
    how: "0.1, 1 or 5 ms each way, four statements one after the other",
    wanted: &["serial-round-trips"],
    second: None,
    forbidden: &["server-cpu", "network", "wal-flush"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| State {
        way: Some(delayed(strength.of([100, 1_000, 5_000]))),
        ..load_with(4, FOUR, &["-M", "prepared"])
    },
    removed: |_| State { way: Some(PLAIN), ..load_with(4, FOUR, &["-M", "prepared"]) },
    decoy: Some(Decoy {
        how: "1 ms each way, beside statements of 8 clients that compute for milliseconds",
        forbidden: &["network"],
        planted: || State {
            way: Some(delayed(1_000)),
            ..load_with(8, COMPUTE, &["-M", "prepared"])
        },
        removed: || State { way: Some(PLAIN), ..load_with(8, COMPUTE, &["-M", "prepared"]) },
    }),
};

pub(super) const BANDWIDTH: Plant = Plant {
    name: "bandwidth",
    how: "answers of 20 kB over a way of 40, 8 or 1 MB/s",
    wanted: &["network"],
    second: None,
    forbidden: &["serial-round-trips", "server-cpu", "wal-flush"],
    kind: Kind::Bottleneck,
    scene,
    planted: |strength: Strength| State {
        way: Some(narrow(strength.of([40_000_000, 8_000_000, 1_000_000]))),
        ..load_with(8, WIDE, &["-M", "prepared"])
    },
    removed: |_| State { way: Some(PLAIN), ..load_with(8, WIDE, &["-M", "prepared"]) },
    decoy: Some(Decoy {
        how: "the same answers over a way of 40 MB/s, of a server that takes 20 ms for each",
        forbidden: &["serial-round-trips"],
        planted: || State {
            way: Some(narrow(40_000_000)),
            ..load_with(8, WIDE_AND_SLOW, &["-M", "prepared"])
        },
        removed: || State { way: Some(PLAIN), ..load_with(8, WIDE_AND_SLOW, &["-M", "prepared"]) },
    }),
};

/// Single rows written over a way that takes so many microseconds in each direction, to a disk whose
/// flush takes so many longer.
fn inserts(way_us: u64, flush_us: u64) -> State {
    State {
        way: Some(delayed(way_us)),
        slow: vec![(Slow::WalSync, Duration::from_micros(flush_us))],
        ..load_with(8, INSERT, &["-M", "prepared"])
    }
}

pub(super) const FLUSH_AND_ROUND_TRIPS: Plant = Plant {
    name: "flush-and-round-trips",
    how: "8 clients insert rows: about 60 % of the time is a flush that takes 1, 2 or 8 ms longer, 40 % a way of \
          0.4, 0.8 or 3.2 ms",
    wanted: &["wal-flush"],
    second: Some("serial-round-trips"),
    forbidden: &["server-cpu", "lw-lock", "network"],
    kind: Kind::Bottleneck,
    scene: || Scene { delays: true, init: vec![LOG, TABLE, KEY, ANALYZE], ..Scene::default() },
    planted: |strength: Strength| {
        inserts(strength.of([400, 800, 3_200]), strength.of([1_000, 2_000, 8_000]))
    },
    removed: |strength: Strength| inserts(strength.of([400, 800, 3_200]), 0),
    decoy: Some(Decoy {
        how: "both beside a load that only reads, and computes for milliseconds",
        forbidden: &["serial-round-trips"],
        planted: || State {
            slow: vec![(Slow::WalSync, Duration::from_millis(2))],
            way: Some(delayed(800)),
            ..load_with(8, COMPUTE, &["-M", "prepared"])
        },
        removed: || State { way: Some(PLAIN), ..load_with(8, COMPUTE, &["-M", "prepared"]) },
    }),
};
