use pinchpoint_measure::{factor_text, group_thousands, significant};

use crate::document::Document;
use crate::matrix::rows::{Row, good};
use crate::text::clean;

/// What the ranks really depend on.
pub(crate) fn depends(document: &mut Document, rows: &[Row<'_>]) {
    document.heading("What the ranks depend on");
    let head = [
        "case",
        "driver",
        "pool",
        "processes × threads",
        "PostgreSQL CPU, ms a request",
        "PostgreSQL throttled",
        "app CPU, ms a request",
        "app throttled",
        "app memory, MiB",
        "sessions seen",
        "allowed",
        "opened a request",
    ];
    let lines = rows.iter().filter_map(|row| {
        let stack = row.stack()?;
        let text = |name: &str| clean(&factor_text(&row.variant.factors, name));
        let ms = |name: &str| {
            let each = stack.process(name).and_then(|p| p.cpu_us_per_op);
            each.map_or("–".to_owned(), |us| significant(us / 1000.0, 2))
        };
        let held = |name: &str| {
            let share = stack.process(name).and_then(|p| p.throttled_share);
            share.map_or("–".to_owned(), |s| format!("{:.0} %", s * 100.0))
        };
        let memory = stack.process("app").and_then(|p| p.memory_peak_bytes);
        let sessions = stack.sessions.clone().unwrap_or_default();
        let requests = good(row.variant).next().map_or(0, |t| t.succeeded);
        Some(vec![
            row.variant.name.clone(),
            text("driver"),
            text("pool"),
            format!("{} × {}", text("processes"), text("threads")),
            ms("postgres"),
            held("postgres"),
            ms("app"),
            held("app"),
            memory.map_or("–".to_owned(), |b| group_thousands(b >> 20)),
            sessions.most.to_string(),
            sessions.allowed.map_or("–".to_owned(), |n| n.to_string()),
            significant(sessions.opened as f64 / requests.max(1) as f64, 2),
        ])
    });
    document.table(4, &head, lines.collect());
    document.paragraph(
        "From the first trial of each case. Throttled: share of the scheduler's periods in which the \
         CPU limit held the processes back. Sessions are those seen on PostgreSQL, sampled ten times \
         a second; allowed is what the case's configuration bounds them to.",
    );
}

/// The pooler's queues.
pub(crate) fn queues(document: &mut Document, rows: &[Row<'_>]) {
    let head = [
        "case",
        "clients waiting, mean",
        "most",
        "longest wait, ms",
        "servers in use, mean",
        "most",
        "transactions a request",
        "mean wait, ms",
    ];
    let lines: Vec<Vec<String>> = rows
        .iter()
        .filter_map(|row| {
            let pooler = row.stack()?.pooler.as_ref()?;
            let requests = good(row.variant).next().map_or(0, |t| t.succeeded);
            let each = |n: u64| significant(n as f64 / requests.max(1) as f64, 3);
            let transactions = pooler.total("total_xact_count");
            // Newer versions count assignments; before, a transaction is one.
            let assigned =
                pooler.total("total_server_assignment_count").or(transactions).unwrap_or(0);
            let waited = pooler.total("total_wait_time").map(|us| us as f64 / 1000.0);
            Some(vec![
                row.variant.name.clone(),
                significant(pooler.clients_waiting_mean, 2),
                pooler.clients_waiting_most.to_string(),
                significant(pooler.longest_wait_ms, 3),
                significant(pooler.servers_active_mean, 2),
                pooler.servers_active_most.to_string(),
                transactions.map_or("–".to_owned(), each),
                waited
                    .filter(|_| assigned > 0)
                    .map_or("–".to_owned(), |ms| significant(ms / assigned as f64, 2)),
            ])
        })
        .collect();
    if lines.is_empty() {
        return;
    }
    document.heading("PgBouncer's queues");
    document.table(1, &head, lines);
    document.paragraph(
        "Queues are sampled ten times a second from SHOW POOLS; transactions and waits are \
         differences of the totals of SHOW STATS over the measured part.",
    );
}
