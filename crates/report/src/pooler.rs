//! A pooler's queues in a few words.

use pinchpoint_measure::{Observation, PoolerFigures, significant};

use crate::text::clean;

/// What an observation calls the console of a pooler.
const CONSOLE: &str = "pgbouncer";
/// That, the load's pool in it, and its process.
const SIGNALS: [&str; 3] = [CONSOLE, "the load's own pool", "PgBouncer's CPU"];

/// Who waits for a server connection, and how many of those there are.
pub(crate) fn pooler_parts(pooler: &PoolerFigures) -> [String; 2] {
    let number = |value: f64| significant(value, 3);
    let active = pooler.clients_active_mean.map(|mean| format!(", {} active", number(mean)));
    let idle = pooler.servers_idle_mean.map(|mean| format!(", {} idle", number(mean)));
    let clients = format!(
        "clients {} waiting{}, longest wait {} ms",
        number(pooler.clients_waiting_mean),
        active.unwrap_or_default(),
        number(pooler.longest_wait_ms)
    );
    let servers = number(pooler.servers_active_mean);
    [clients, format!("server connections {servers} active{}", idle.unwrap_or_default())]
}

/// The same for a summary, with the program and the pool that is meant.
pub(crate) fn pooler_text(pooler: &PoolerFigures) -> String {
    let version = pooler.version.as_deref().unwrap_or("PgBouncer");
    let of = match &pooler.database {
        Some(database) => format!(" (database {})", clean(database)),
        None => String::new(),
    };
    format!("{}{of}: {}", clean(version), pooler_parts(pooler).join("; "))
}

/// Whether the queues were asked for in vain.
pub(crate) fn pooler_is_unseen(seen: &Observation) -> bool {
    seen.missing.iter().any(|gap| gap.signal == CONSOLE)
}

/// What of it could not be seen.
pub(crate) fn pooler_unseen(seen: &Observation) -> impl Iterator<Item = String> {
    let gaps = seen.missing.iter().filter(|gap| SIGNALS.contains(&gap.signal.as_str()));
    gaps.map(|gap| format!("{}: {}", clean(&gap.signal), clean(&gap.reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_or_an_earlier_result_does_not_tell_is_left_out() {
        let mut pooler = PoolerFigures {
            clients_waiting_mean: 7.04,
            servers_active_mean: 1.0,
            longest_wait_ms: 12.345,
            ..PoolerFigures::default()
        };
        assert_eq!(
            pooler_text(&pooler),
            "PgBouncer: clients 7.04 waiting, longest wait 12.3 ms; server connections 1.00 active"
        );
        (pooler.clients_active_mean, pooler.servers_idle_mean) = (Some(3.0), Some(0.5));
        pooler.version = Some("PgBouncer 1.18.0\u{1b}[2J".to_owned());
        pooler.database = Some("shop".to_owned());
        let text = pooler_text(&pooler);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.contains("(database shop): clients 7.04 waiting, 3.00 active, "), "{text}");
        assert!(text.contains("connections 1.00 active, 0.500 idle"), "{text}");
    }
}
