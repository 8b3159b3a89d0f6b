use crate::plant::{Beside, Kind, MIDDLE, Plant, Scene, State};

use super::statements::plain;
use super::{ANALYZE, KEY, TABLE};

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const NEIGHBOUR: Plant = Plant {
    name: "noisy-neighbour",
    how: "four threads of another program keep the cores busy",
    wanted: &["inconclusive"],
    forbidden: &["server-cpu", "client-cpu", "too-many-backends", "wal-flush", "lw-lock"],
    kind: Kind::Decoy,
    strengths: MIDDLE,
    scene,
    planted: |_| State { beside: Beside::Spin(4), ..plain() },
    removed: plain,
};

pub(super) const NOTHING: Plant = Plant {
    name: "nothing",
    how: "200 look-ups a second by key, on a schedule",
    wanted: &["none"],
    forbidden: &["server-cpu", "client-cpu", "wal-flush", "serial-round-trips", "network"],
    kind: Kind::Decoy,
    strengths: MIDDLE,
    scene,
    planted: |_| {
        let mut state = plain();
        state.arguments.extend(["--rate", "200"]);
        state
    },
    removed: || {
        let mut state = plain();
        state.arguments.extend(["--rate", "200"]);
        state
    },
};
