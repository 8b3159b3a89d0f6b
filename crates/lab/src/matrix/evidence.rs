use std::sync::Arc;
use std::time::Duration;

use pinchpoint_http::{HttpDriver, HttpSpec, Kinds};
use pinchpoint_load::{LoadSpec, Session};
use pinchpoint_measure::{EvidenceFigures, StatementFigures};
use pinchpoint_sql::Connection;

use crate::error::LabError;
use crate::matrix::bench::{Bench, number};

/// How long statements are counted for.
const PASS: Duration = Duration::from_millis(700);
const MOST_USERS: usize = 8;
const COUNTED: &str = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements \
                       WHERE query NOT ILIKE '%pg_stat_%' AND query NOT ILIKE '%pg_reload_conf%'";
/// Statements that read the dataset: what a request is made of.
const OF_REQUESTS: &str = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements \
                           WHERE query ~* '\\m(posts|comments|users)\\M' \
                           AND query ~* '^\\s*(select|with)'";

/// The statements that took most time, whatever they read.
const DEAREST: &str = "SELECT left(query, 300), calls, total_exec_time, total_plan_time, rows, \
                       shared_blks_hit + shared_blks_read FROM pg_stat_statements \
                       WHERE query NOT ILIKE '%pg_stat_%' AND query NOT ILIKE '%pg_reload_conf%' \
                       ORDER BY total_exec_time DESC LIMIT 10";

/// What a pass of its own has counted.
pub(crate) struct Evidence {
    pub(crate) figures: EvidenceFigures,
    /// The statements that took most time.
    pub(crate) dearest: Vec<StatementFigures>,
}

/// How long an application may take to be done with requests whose users have left.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Sessions so far, and those at work now.
const AT_WORK: &str = "SELECT d.sessions, (SELECT count(*) FROM pg_stat_activity \
                       WHERE backend_type = 'client backend' AND state <> 'idle' \
                       AND pid <> pg_backend_pid()) \
                       FROM pg_stat_database d WHERE d.datname = current_database()";

/// Waits until nobody works any more: a slow application goes on with requests that the load before
/// has given up, and their statements are not those of this pass.
async fn drained(admin: &mut Connection) {
    let until = tokio::time::Instant::now() + DRAINED_WITHIN;
    let (mut last, mut still) = (None, 0);
    while still < 2 && tokio::time::Instant::now() < until {
        let Ok(rows) = admin.query(AT_WORK).await else { return };
        let now = rows.into_iter().next();
        let idle = now.as_ref().is_some_and(|row| row.get(1) == Some(&Some("0".to_owned())));
        still = if idle && now == last { still + 1 } else { 0 };
        last = now;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Counts the statements of a short load beside the timed one: counting costs, so it is off there.
/// `None` where statements cannot be counted.
pub(crate) async fn count(
    bench: &mut Bench,
    spec: &HttpSpec,
    expected: f64,
    users: u32,
) -> Result<Option<Evidence>, LabError> {
    if !bench.counts_statements {
        return Ok(None);
    }
    drained(&mut bench.admin).await;
    track(&mut bench.admin, "all").await?;
    let counted = pass(bench, spec, users).await;
    track(&mut bench.admin, "none").await?;
    let (requests, statements, all) = counted?;
    let other = all.saturating_sub(statements) as f64;
    let figures = EvidenceFigures {
        requests,
        statements,
        expected_per_request: expected,
        other_per_request: if requests == 0 { 0.0 } else { other / requests as f64 },
    };
    let rows = bench
        .admin
        .query(DEAREST)
        .await
        .map_err(|source| LabError::Server { action: "show counted statements", source })?;
    let dearest = rows.into_iter().filter_map(|row| statement(row, requests)).collect();
    Ok(Some(Evidence { figures, dearest }))
}

/// A row of [`DEAREST`], in a pass of so many requests.
fn statement(row: Vec<Option<String>>, requests: u64) -> Option<StatementFigures> {
    let number = |at: usize| row.get(at)?.as_deref()?.parse::<f64>().ok();
    let (calls, plan_ms) = (number(1)?, number(3)?);
    Some(StatementFigures {
        calls,
        calls_per_op: (requests > 0).then(|| calls / requests as f64),
        execute_ms: number(2)?,
        plan_ms: (plan_ms > 0.0).then_some(plan_ms),
        rows: number(4)?,
        blocks: number(5)?,
        rows_read: None,
        query: row.into_iter().next()??.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

async fn pass(bench: &mut Bench, spec: &HttpSpec, users: u32) -> Result<(u64, u64, u64), LabError> {
    let driver = Arc::new(HttpDriver::new(spec).map_err(|e| LabError::Unsuitable(e.to_string()))?);
    let load = LoadSpec {
        users: (users as usize).clamp(1, MOST_USERS),
        threads: 1,
        schedule: None,
        seed: 1,
        spawn_per_s: None,
        think: Duration::ZERO,
        labels: Kinds::count(spec.requests.len()),
        operations_per_user: None,
        latency_limit: None,
        keep_acks: false,
    };
    let mut session = Session::open(driver.clone(), &load).await?;
    bench
        .admin
        .query("SELECT pg_stat_statements_reset()")
        .await
        .map_err(|source| LabError::Server { action: "forget counted statements", source })?;
    session.start();
    tokio::time::sleep(PASS).await;
    // Requests under way at the end are answered, and counted on both sides.
    session.settle(Duration::from_secs(10)).await?;
    let requests: u64 = driver.tally().endpoints.iter().map(|e| e.succeeded).sum();
    session.close().await;
    let statements = number(&mut bench.admin, OF_REQUESTS).await?;
    let all = number(&mut bench.admin, COUNTED).await?;
    Ok((requests, statements, all))
}

async fn track(admin: &mut Connection, what: &str) -> Result<(), LabError> {
    for sql in [
        format!("ALTER SYSTEM SET pg_stat_statements.track = '{what}'"),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        admin
            .query(&sql)
            .await
            .map_err(|source| LabError::Server { action: "count statements", source })?;
    }
    // Sessions read the configuration again before their next statement, once they are told.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_statement_is_read() {
        let row = |cells: [&str; 6]| cells.map(|cell| Some(cell.to_owned())).to_vec();
        let read = statement(row(["SELECT\n 1", "30", "1.5", "0", "30", "90"]), 10).unwrap();
        assert_eq!((read.query.as_str(), read.calls_per_op), ("SELECT 1", Some(3.0)));
        assert_eq!((read.plan_ms, read.blocks.round() as u64), (None, 90));
        assert_eq!(statement(row(["SELECT 1", "x", "1.5", "0", "30", "90"]), 10), None);
        assert_eq!(statement(vec![], 10), None);
    }
}
