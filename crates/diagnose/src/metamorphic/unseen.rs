//! What could not be seen lowers the confidence, and is said.

use pinchpoint_measure::{Missing, WaitClass};

use super::{found, observations};
use crate::plants::Plant;

#[test]
fn a_source_that_could_not_be_read_is_named() {
    let mut variant = Plant::quiet().variant();
    for observation in observations(&mut variant) {
        observation.sessions = None;
        let reason = "the role may not see other sessions; grant it pg_monitor".to_owned();
        observation.missing = vec![Missing { signal: "wait events".to_owned(), reason }];
    }
    let found = found(&variant);
    assert!(found.against.iter().any(|text| text.contains("pg_monitor")), "{found:#?}");
    assert!(found.confidence <= Plant::quiet().verdict().confidence);
}

/// A role without rights sees sessions and not what they do; its looks succeed all the same.
#[test]
fn what_the_role_may_not_see_is_not_taken_for_idle() {
    let (plant, missing) = (Plant { cpu: 0.97, ..Plant::quiet() }, "wait events".to_owned());
    let mut variant = plant.variant();
    for observation in observations(&mut variant) {
        let sessions = observation.sessions.as_mut().expect("samples");
        sessions.active = 0.0;
        sessions.waits.clear();
        let reason = "8 sessions are of roles whose waits we may not see".to_owned();
        observation.missing = vec![Missing { signal: missing.clone(), reason }];
    }
    let blind = found(&variant);
    assert_eq!((blind.bottleneck.as_str(), &blind.inconclusive), ("server-cpu", &None));
    assert!(blind.confidence < plant.verdict().confidence, "{blind:#?}");
    assert!(blind.against.iter().any(|text| text.contains("8 sessions")), "{blind:#?}");
}

#[test]
fn a_view_that_could_not_be_read_lowers_the_confidence() {
    let plant = Plant::waiting(WaitClass::WalFlush, "IO:WALSync", 1.0);
    let mut variant = plant.variant();
    for observation in observations(&mut variant) {
        let reason = "permission denied for view pg_stat_wal".to_owned();
        observation.missing = vec![Missing { signal: "pg_stat_wal".to_owned(), reason }];
    }
    let (less, whole) = (found(&variant), plant.verdict());
    assert_eq!(less.bottleneck, whole.bottleneck);
    assert!(less.confidence < whole.confidence, "{less:#?}");
    assert!(less.against.iter().any(|text| text.contains("permission denied")), "{less:#?}");
}

/// A pooler that was named and whose console let nobody in: a queue there may have gone unseen.
#[test]
fn a_console_that_could_not_be_read_lowers_the_confidence() {
    let plant = Plant::waiting(WaitClass::WalFlush, "IO:WALSync", 1.0);
    let mut variant = plant.variant();
    for observation in observations(&mut variant) {
        let reason = "add me to stats_users".to_owned();
        observation.missing = vec![Missing { signal: "pgbouncer".to_owned(), reason }];
    }
    let (less, whole) = (found(&variant), plant.verdict());
    assert_eq!(less.bottleneck, whole.bottleneck);
    assert!(less.confidence < whole.confidence, "{less:#?}");
    assert!(less.against.iter().any(|text| text.contains("stats_users")), "{less:#?}");
}
