use crate::plant::{ALL, Kind, MIDDLE, Plant, Scene, State, Strength};

use super::{ANALYZE, KEY, TABLE, load, load_with};

/// A statement that computes for about a tenth of a millisecond.
const COMPUTE: &str = "SELECT sum(n) FROM t WHERE id <= 400;\n";
/// The same for some milliseconds.
const COMPUTE_LONG: &str =
    "SELECT sum(i * i % 7) FROM t, generate_series(1, 9000) i WHERE t.id = 1;\n";
const READ: &str = "\\set id random(1, 10000)\nSELECT x FROM t WHERE id = :id;\n";

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const CPU_QUOTA: Plant = Plant {
    name: "cpu-quota",
    how: "the server's control group may use 1, 0.4 or 0.15 CPUs",
    wanted: &["cpu-throttling"],
    forbidden: &["lw-lock", "row-lock", "wal-flush"],
    kind: Kind::Bottleneck,
    strengths: ALL,
    scene,
    planted: |strength: Strength| State {
        cpus: Some(strength.of([1.0, 0.4, 0.15])),
        ..load_with(8, COMPUTE, &["-M", "prepared"])
    },
    removed: || load_with(8, COMPUTE, &["-M", "prepared"]),
};

pub(super) const CPU_FOR_REAL: Plant = Plant {
    name: "cpu-for-real",
    how: "statements that compute for milliseconds, and no limit",
    wanted: &["server-cpu"],
    forbidden: &["cpu-throttling", "lw-lock", "row-lock"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene,
    planted: |_| load_with(8, COMPUTE_LONG, &["-M", "prepared"]),
    removed: || load_with(8, COMPUTE, &["-M", "prepared"]),
};

pub(super) const BACKENDS: Plant = Plant {
    name: "many-backends",
    how: "400 clients with a connection each instead of a pool of 8",
    wanted: &["too-many-backends"],
    forbidden: &["row-lock", "wal-flush"],
    kind: Kind::Bottleneck,
    strengths: MIDDLE,
    scene: || Scene {
        settings: vec![("max_connections", "450")],
        init: vec![TABLE, KEY, ANALYZE],
        ..Scene::default()
    },
    planted: |_| load(400, READ),
    removed: || load_with(400, READ, &["--pool", "8"]),
};
