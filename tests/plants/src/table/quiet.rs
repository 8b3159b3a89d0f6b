use std::time::Duration;

use crate::plant::{Beside, Kind, Plant, Scene, State};

use super::disk::{INSERT, LOG};
use super::statements::plain;
use super::{ANALYZE, KEY, TABLE, load_with};

fn scene() -> Scene {
    Scene { init: vec![TABLE, KEY, ANALYZE], ..Scene::default() }
}

pub(super) const NEIGHBOUR: Plant = Plant {
    name: "noisy-neighbour",
    how: "four threads of another program keep the cores busy",
    wanted: &["inconclusive"],
    second: None,
    forbidden: &["server-cpu", "client-cpu", "too-many-backends", "wal-flush", "lw-lock"],
    kind: Kind::NoCause,
    scene,
    planted: |_| State { beside: Beside::Spin(4), ..plain() },
    removed: |_| plain(),
    decoy: None,
};

pub(super) const NOTHING: Plant = Plant {
    name: "nothing",
    how: "200 look-ups a second by key, on a schedule",
    wanted: &["none"],
    second: None,
    forbidden: &["server-cpu", "client-cpu", "wal-flush", "serial-round-trips", "network"],
    kind: Kind::NoCause,
    scene,
    planted: |_| scheduled(),
    removed: |_| scheduled(),
    decoy: None,
};

pub(super) const WATCHED: Plant = Plant {
    name: "watched",
    how: "another session reads pg_stat_activity without a pause, some thousand times a second, beside 200 \
          look-ups a second by key on a schedule",
    wanted: &["none"],
    second: None,
    forbidden: &["server-cpu", "client-cpu", "wal-flush", "serial-round-trips", "network"],
    kind: Kind::NoCause,
    scene,
    planted: |_| State {
        beside: Beside::Session(vec![("SELECT count(*) FROM pg_stat_activity", Duration::ZERO)]),
        ..scheduled()
    },
    removed: |_| scheduled(),
    decoy: None,
};

fn scheduled() -> State {
    let mut state = plain();
    state.arguments.extend(["--rate", "200"]);
    state
}

/// Intervals short enough to show a change within a trial.
fn inserts() -> State {
    load_with(8, INSERT, &["-M", "prepared", "--progress", "250ms", "--warmup", "500ms"])
}

pub(super) const SWITCHED_ON: Plant = Plant {
    name: "switched-on",
    how: "each flush of the WAL takes 10 ms longer (commit_delay) from the middle of the first trial on",
    wanted: &["inconclusive"],
    second: None,
    forbidden: &["wal-flush", "lw-lock", "server-cpu"],
    kind: Kind::NoCause,
    scene: || Scene { init: vec![LOG], ..Scene::default() },
    planted: |_| State {
        beside: Beside::Session(vec![
            ("ALTER SYSTEM SET commit_siblings = 0", Duration::ZERO),
            ("ALTER SYSTEM SET commit_delay = 10000", UNTIL_THE_MIDDLE),
            ("SELECT pg_reload_conf()", Duration::from_secs(600)),
        ]),
        ..inserts()
    },
    removed: |_| State {
        before: vec!["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"],
        ..inserts()
    },
    decoy: None,
};

/// The command's start, the warm-up and half of a trial of two seconds and a half.
const UNTIL_THE_MIDDLE: Duration = Duration::from_millis(2_100);
