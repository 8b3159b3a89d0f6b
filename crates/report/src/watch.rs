//! What a running server waits for, live: a screen for a terminal, a line for a log.

use pinchpoint_measure::{
    COUNTERS, Counter, Observation, SessionSamples, WAIT_CLASSES, WaitClass, group_thousands,
    significant,
};

use crate::pooler::{pooler_is_unseen, pooler_parts};
use crate::text::{clean, pad, pad_left, percent, shorten};

/// Widest bar.
const BAR: usize = 24;
/// Columns of a class's name.
const CLASS: usize = 14;

/// Mean sessions in one class, and the events that make it up.
struct Row {
    class: WaitClass,
    sessions: f64,
    events: String,
}

/// The screen of a moment, with lines of `width` columns at most.
pub fn watch_screen(seen: &Observation, width: usize) -> String {
    let mut lines = vec![head(seen)];
    if let Some(sessions) = &seen.sessions {
        lines.push(states(sessions));
    }
    lines.push(traffic(seen));
    if let Some([clients, servers]) = pooler(seen) {
        lines.extend([clients, format!("        {servers}")]);
    }
    lines.extend(machine(seen));
    lines.push(String::new());
    lines.extend(seen.sessions.iter().flat_map(waits));
    lines.extend(seen.sessions.iter().flat_map(blockers));
    lines.extend(unseen(seen));
    let short = |line: String| shorten(&line, width) + "\n";
    lines.into_iter().map(short).collect()
}

/// The same on one line, for a file or a pipe.
pub fn watch_line(seen: &Observation) -> String {
    let mut parts = Vec::new();
    if let Some(sessions) = &seen.sessions {
        parts.push(states(sessions));
        let named = rows(sessions);
        let named =
            named.iter().map(|row| format!("{} {}", row.class.name(), number(row.sessions)));
        let named: Vec<_> = named.collect();
        if !named.is_empty() {
            parts.push(named.join(", "));
        }
    }
    parts.push(traffic(seen));
    parts.extend(pooler(seen).map(|parts| parts.join("; ")));
    if pooler_is_unseen(seen) {
        // It may have gone since the first line, which says why.
        parts.push("pooler: not seen".to_owned());
    }
    if let Some(blocker) = seen.sessions.as_ref().and_then(|s| s.blockers.first()) {
        parts.push(format!(
            "blocked by {} ({})",
            clean(&blocker.state),
            clean(&blocker.application)
        ));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" | ")
}

/// What could not be seen, a line each; of what this server does not count or time, nothing.
pub fn watch_unseen(seen: &Observation) -> String {
    unseen(seen).map(|line| line + "\n").collect()
}

fn unseen(seen: &Observation) -> impl Iterator<Item = String> {
    let told = |signal: &str| {
        COUNTERS.iter().all(|counter| counter.name() != signal) && !signal.starts_with("track_")
    };
    seen.missing
        .iter()
        .filter(move |gap| told(&gap.signal))
        .map(|gap| format!("not seen: {}: {}", clean(&gap.signal), clean(&gap.reason)))
}

fn head(seen: &Observation) -> String {
    let version = match seen.server_version {
        Some(number) => format!("PostgreSQL {}.{}", number / 10_000, number % 10_000),
        None => "PostgreSQL".to_owned(),
    };
    let Some(sessions) = &seen.sessions else { return format!("{version} · nothing seen") };
    let looks = sessions.looks as f64 / seen.seconds.max(1e-9);
    format!("{version} · {} sessions · {} looks/s", sessions.most, number(looks))
}

fn states(sessions: &SessionSamples) -> String {
    let mut text = format!(
        "active {}  idle in transaction {}  idle {}",
        number(sessions.active),
        number(sessions.idle_in_transaction),
        number(sessions.idle)
    );
    if sessions.autovacuum_workers > 0.0 {
        text.push_str(&format!("  autovacuum {}", number(sessions.autovacuum_workers)));
    }
    text
}

fn traffic(seen: &Observation) -> String {
    let rate = |counter| seen.counter(counter).map(|n| n / seen.seconds.max(1e-9));
    let mut parts = Vec::new();
    if let Some(commits) = rate(Counter::Commits) {
        parts.push(format!("{} commits/s", whole(commits)));
    }
    for (counter, what) in [
        (Counter::Rollbacks, "rollbacks/s"),
        (Counter::Deadlocks, "deadlocks/s"),
        (Counter::Sessions, "new sessions/s"),
        (Counter::TempFiles, "temporary files/s"),
    ] {
        if let Some(some) = rate(counter).filter(|rate| *rate > 0.0) {
            parts.push(format!("{} {what}", whole(some)));
        }
    }
    if let Some(bytes) = rate(Counter::WalBytes) {
        parts.push(format!("WAL {} MB/s", number(bytes / 1e6)));
    }
    let blocks = seen.counter(Counter::BlocksHit).zip(seen.counter(Counter::BlocksRead));
    if let Some((hit, read)) = blocks.filter(|(hit, read)| hit + read > 0.0) {
        parts.push(format!("cache hits {}", percent(hit / (hit + read))));
    }
    parts.join("  ")
}

/// The queues of the pooler before it, and its CPU where it is of this machine.
fn pooler(seen: &Observation) -> Option<[String; 2]> {
    let [clients, mut servers] = pooler_parts(seen.pooler.as_ref()?);
    let process = seen.processes.iter().find(|process| process.name == "pgbouncer");
    if let Some(cpu_s) = process.and_then(|process| process.cpu_s) {
        servers.push_str(&format!("; {} cores", number(cpu_s / seen.seconds.max(1e-9))));
    }
    Some([format!("pooler: {clients}"), servers])
}

/// CPU and disk, where the server is of this machine.
fn machine(seen: &Observation) -> Vec<String> {
    let seconds = seen.seconds.max(1e-9);
    let server = seen.processes.iter().find(|process| process.name == "postgres");
    let (Some(server), Some(host)) = (server, seen.host.as_ref()) else { return Vec::new() };
    let mut parts = Vec::new();
    parts.extend(server.cpu_s.map(|cpu| format!("server {} cores", number(cpu / seconds))));
    if let Some(share) = server.throttled_share.filter(|share| *share > 0.0) {
        parts.push(format!("throttled in {} of periods", percent(share)));
    }
    parts.extend(host.cpu_share.map(|share| format!("machine {} busy", percent(share))));
    if let Some(share) = host.steal_share.filter(|share| *share > 0.01) {
        parts.push(format!("{} stolen", percent(share)));
    }
    let flushes = host.disk_flushes.zip(host.disk_flush_ms).map(|(count, ms)| {
        format!("disk {} flushes/s of {} ms", whole(count / seconds), number(ms))
    });
    [parts.join("  ")].into_iter().chain(flushes).filter(|line| !line.is_empty()).collect()
}

/// The classes that somebody was in, the largest first.
fn rows(sessions: &SessionSamples) -> Vec<Row> {
    let row = |class: WaitClass| {
        let events = sessions.waits.iter().filter(|wait| wait.class == class);
        let events: Vec<_> = events
            .filter(|wait| wait.sessions > 0.0 && wait.event != "running")
            .map(|wait| format!("{} {}", clean(&wait.event), number(wait.sessions)))
            .collect();
        Row { class, sessions: sessions.in_class(class), events: events.join(", ") }
    };
    let mut rows: Vec<Row> =
        WAIT_CLASSES.into_iter().map(row).filter(|row| row.sessions > 0.0).collect();
    rows.sort_by(|a, b| b.sessions.total_cmp(&a.sessions));
    rows
}

fn waits(sessions: &SessionSamples) -> Vec<String> {
    let rows = rows(sessions);
    let most = rows.first().map_or(1.0, |row| row.sessions);
    rows.into_iter()
        .map(|row| {
            let length = ((row.sessions / most * BAR as f64).round() as usize).clamp(1, BAR);
            let bar = pad(&"█".repeat(length), BAR);
            let sessions = pad_left(&number(row.sessions), 6);
            let class = pad(row.class.name(), CLASS);
            format!("{sessions} {bar} {class} {}", row.events).trim_end().to_owned()
        })
        .collect()
}

fn blockers(sessions: &SessionSamples) -> Vec<String> {
    sessions
        .blockers
        .iter()
        .map(|blocker| {
            let who = clean(&blocker.application);
            let who = if who.is_empty() { String::new() } else { format!(" {who}") };
            let query = blocker.query.as_deref().map(clean).unwrap_or_default();
            let share = percent(blocker.share);
            format!("blocked by{who}, {} ({share} of looks): {query}", clean(&blocker.state))
        })
        .collect()
}

fn number(value: f64) -> String {
    significant(value, 3)
}

fn whole(value: f64) -> String {
    if value >= 100.0 { group_thousands(value.round() as u64) } else { number(value) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pinchpoint_measure::{
        Blocker, HostFigures, Missing, PoolerFigures, ProcessFigures, WaitFigures,
    };

    use super::*;

    fn seen() -> Observation {
        let wait = |class, event: &str, sessions| WaitFigures {
            class,
            event: event.to_owned(),
            sessions,
            error: None,
        };
        let gap = |signal: &str, reason: &str| Missing {
            signal: signal.to_owned(),
            reason: reason.to_owned(),
        };
        Observation {
            seconds: 2.0,
            server_version: Some(150_018),
            sessions: Some(SessionSamples {
                looks: 50,
                active: 17.0,
                idle_in_transaction: 1.0,
                idle: 2.5,
                most: 21,
                waits: vec![
                    wait(WaitClass::WalFlush, "LWLock:WALWrite", 12.0),
                    wait(WaitClass::RowLock, "Lock:transactionid", 3.0),
                    wait(WaitClass::WalFlush, "IO:WALSync", 1.0),
                    wait(WaitClass::Running, "running", 1.0),
                ],
                blockers: vec![Blocker {
                    state: "idle in transaction".to_owned(),
                    class: None,
                    application: "psql\u{1b}[2J".to_owned(),
                    share: 1.0,
                    query: Some(
                        "UPDATE counters SET n = n + 1 WHERE name = 'hits' RETURNING n".to_owned(),
                    ),
                }],
                autovacuum_workers: 0.0,
            }),
            counters: BTreeMap::from([
                (Counter::Commits, 12_424.0),
                (Counter::Rollbacks, 3.0),
                (Counter::WalBytes, 2_800_000.0),
                (Counter::BlocksHit, 990.0),
                (Counter::BlocksRead, 10.0),
            ]),
            processes: vec![ProcessFigures {
                name: "postgres".to_owned(),
                cpu_s: Some(2.0),
                throttled_share: Some(0.25),
                ..ProcessFigures::default()
            }],
            host: Some(HostFigures {
                cpu_share: Some(0.8),
                disk_flushes: Some(1_120.0),
                disk_flush_ms: Some(0.16),
                ..HostFigures::default()
            }),
            missing: vec![gap("track_io_timing", "it is off"), gap("disk", "it lies elsewhere")],
            ..Observation::default()
        }
    }

    #[test]
    fn a_screen_fits_80_columns() {
        let screen = watch_screen(&seen(), 80);
        assert!(screen.lines().all(|line| crate::text::width(line) <= 80), "{screen}");
        insta::assert_snapshot!(screen);
    }

    #[test]
    fn a_line_says_the_same() {
        insta::assert_snapshot!(watch_line(&seen()));
        assert_eq!(watch_line(&Observation::default()), "");
        assert_eq!(watch_unseen(&seen()), "not seen: disk: it lies elsewhere\n");
    }

    #[test]
    fn the_queue_of_a_pooler_is_shown() {
        let mut seen = seen();
        seen.pooler = Some(PoolerFigures {
            clients_waiting_mean: 7.0,
            clients_active_mean: Some(1.0),
            servers_active_mean: 1.0,
            servers_idle_mean: Some(0.0),
            longest_wait_ms: 12.3,
            ..PoolerFigures::default()
        });
        seen.processes.push(ProcessFigures {
            name: "pgbouncer".to_owned(),
            cpu_s: Some(0.5),
            ..ProcessFigures::default()
        });
        let screen = watch_screen(&seen, 80);
        let lines = [
            "pooler: clients 7.00 waiting, 1.00 active, longest wait 12.3 ms",
            "        server connections 1.00 active, 0 idle; 0.250 cores",
        ];
        assert!(screen.contains(&lines.join("\n")), "{screen}");
        let line = lines.map(str::trim).join("; ");
        assert!(watch_line(&seen).contains(&format!(" | {line} | ")), "{}", watch_line(&seen));
        seen.pooler = None;
        assert!(!watch_line(&seen).contains("pooler"), "nobody asked for it");
        seen.missing.push(Missing { signal: "pgbouncer".to_owned(), reason: "gone".to_owned() });
        assert!(watch_line(&seen).contains(" | pooler: not seen | "), "{}", watch_line(&seen));
    }

    #[test]
    fn nothing_seen_is_said() {
        assert_eq!(
            watch_screen(&Observation::default(), 80).lines().next(),
            Some("PostgreSQL · nothing seen")
        );
    }
}
