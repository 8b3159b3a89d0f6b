//! A pooler's queues in a few words.

use pinchpoint_measure::{Observation, PoolerFigures, significant};

use crate::text::clean;

/// What an observation calls the console of a pooler, and the load's pool in it.
const SIGNALS: [&str; 2] = ["pgbouncer", "the load's own pool"];

/// The queues on a line: who waits for a server connection, and how many of those there are.
pub(crate) fn pooler_line(pooler: &PoolerFigures) -> String {
    let number = |value: f64| significant(value, 3);
    let mut clients = format!("{} waiting", number(pooler.clients_waiting_mean));
    if let Some(active) = pooler.clients_active_mean {
        clients.push_str(&format!(", {} active", number(active)));
    }
    let mut servers = format!("{} active", number(pooler.servers_active_mean));
    if let Some(idle) = pooler.servers_idle_mean {
        servers.push_str(&format!(", {} idle", number(idle)));
    }
    let longest = number(pooler.longest_wait_ms);
    format!("clients {clients}; server connections {servers}; longest wait {longest} ms")
}

/// The same for a summary, with the program and the pool that is meant.
pub(crate) fn pooler_text(pooler: &PoolerFigures) -> String {
    let version = pooler.version.as_deref().unwrap_or("PgBouncer");
    let of = match &pooler.database {
        Some(database) => format!(" (database {})", clean(database)),
        None => String::new(),
    };
    format!("{}{of}: {}", clean(version), pooler_line(pooler))
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
            "PgBouncer: clients 7.04 waiting; server connections 1 active; longest wait 12.3 ms"
        );
        (pooler.clients_active_mean, pooler.servers_idle_mean) = (Some(3.0), Some(0.5));
        pooler.version = Some("PgBouncer 1.18.0\u{1b}[2J".to_owned());
        pooler.database = Some("shop".to_owned());
        let text = pooler_text(&pooler);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.contains("(database shop): clients 7.04 waiting, 3 active;"), "{text}");
        assert!(text.contains("1 active, 0.5 idle;"), "{text}");
    }
}
