use std::time::Duration;

use crate::plant::{Beside, Decoy, Kind, Plant, Scene, State, Strength};

use super::disk::{INSERT, LOG, READ};
use super::{ANALYZE, KEY, TABLE, load_with};

const SYNCHRONOUS: &[&str] =
    &["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"];
const ALONE: &[&str] = &["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"];

/// Single rows written beside a standby that is so many microseconds away.
fn inserts(before: &[&'static str], standby_us: Option<u64>) -> State {
    let standby = |us| Beside::Standby(Duration::from_micros(us));
    State {
        before: before.to_vec(),
        beside: standby_us.map_or(Beside::Nothing, standby),
        ..load_with(8, INSERT, &["-M", "prepared"])
    }
}

pub(super) const REPLICA: Plant = Plant {
    name: "replica",
    how: "a synchronous standby (pg_receivewal) at the end of a way of 0.2, 2 or 10 ms",
    wanted: &["replica"],
    second: None,
    forbidden: &["wal-flush", "network", "row-lock"],
    kind: Kind::Bottleneck,
    scene: || Scene { init: vec![LOG, TABLE, KEY, ANALYZE], ..Scene::default() },
    planted: |strength: Strength| inserts(SYNCHRONOUS, Some(strength.of([200, 2_000, 10_000]))),
    removed: |_| inserts(ALONE, None),
    decoy: Some(Decoy {
        how: "the same standby, 10 ms away, beside a load that only reads",
        forbidden: &["network", "wal-flush"],
        planted: || State {
            before: SYNCHRONOUS.to_vec(),
            beside: Beside::Standby(Duration::from_millis(10)),
            ..load_with(8, READ, &["-M", "prepared"])
        },
        removed: || State { before: ALONE.to_vec(), ..load_with(8, READ, &["-M", "prepared"]) },
    }),
};
