use std::time::Duration;

use crate::plant::{ALL, Kind, Plant, Scene, State, Strength, Way};

use super::{ANALYZE, KEY, TABLE, load_with};

/// Four different statements, one after the other.
const FOUR: &str = "\\set id random(1, 10000)\n\
    SELECT x FROM t WHERE id = :id;\nSELECT n FROM t WHERE id = :id + 1;\n\
    SELECT id FROM t WHERE id = :id - 1;\nSELECT n, x FROM t WHERE id = :id;\n";
const WIDE: &str = "SELECT repeat('x', 20000);\n";

const PLAIN: Way = Way { delay: Duration::ZERO, bytes_per_s: None };

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const ROUND_TRIPS: Plant = Plant {
    name: "round-trips",
    how: "0.1, 1 or 5 ms each way, four statements one after the other",
    wanted: &["serial-round-trips"],
    forbidden: &["server-cpu", "network", "wal-flush"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene,
    planted: |strength: Strength| State {
        way: Some(Way { delay: Duration::from_micros(strength.of([100, 1_000, 5_000])), ..PLAIN }),
        ..load_with(4, FOUR, &["-M", "prepared"])
    },
    removed: || State { way: Some(PLAIN), ..load_with(4, FOUR, &["-M", "prepared"]) },
};

pub(super) const BANDWIDTH: Plant = Plant {
    name: "bandwidth",
    how: "answers of 20 kB over a way of 40, 8 or 1 MB/s",
    wanted: &["network"],
    forbidden: &["serial-round-trips", "server-cpu", "wal-flush"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene,
    planted: |strength: Strength| State {
        way: Some(Way {
            bytes_per_s: Some(strength.of([40_000_000, 8_000_000, 1_000_000])),
            ..PLAIN
        }),
        ..load_with(8, WIDE, &["-M", "prepared"])
    },
    removed: || State { way: Some(PLAIN), ..load_with(8, WIDE, &["-M", "prepared"]) },
};
