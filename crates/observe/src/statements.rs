use std::collections::HashMap;

use pinchpoint_measure::StatementFigures;

use crate::link::Link;
use crate::missing::Gaps;

/// Statements shown, those that took most time.
const SHOWN: usize = 10;
/// Of a statement's text.
const MOST_TEXT: usize = 300;

/// What `pg_stat_statements` has counted of each statement of this database.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    counts: HashMap<String, Counts>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counts {
    calls: f64,
    execute_ms: f64,
    plan_ms: f64,
    rows: f64,
    blocks: f64,
}

/// Where the extension is, when it is installed here and counts.
pub(crate) async fn schema(link: &mut Link, gaps: &mut Gaps) -> Option<String> {
    let sql = "SELECT quote_ident(n.nspname), current_setting('pg_stat_statements.track', true) \
               FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
               WHERE e.extname = 'pg_stat_statements'";
    let rows = match link.ask(sql).await {
        Ok(rows) => rows,
        Err(reason) => {
            gaps.note("pg_stat_statements", reason);
            return None;
        }
    };
    let mut cells = rows.into_iter().next().unwrap_or_default().into_iter();
    match (cells.next().flatten(), cells.next().flatten()) {
        (None, _) => gaps.note("pg_stat_statements", "it is not installed in this database"),
        (_, Some(track)) if track == "none" => {
            gaps.note("pg_stat_statements", "it counts nothing while a load is timed");
        }
        (Some(schema), _) => return Some(schema),
    }
    None
}

impl Statements {
    /// Reads the counts, without the texts: those lie in a file.
    pub(crate) async fn read(link: &mut Link, schema: &str, gaps: &mut Gaps) -> Self {
        let sql = format!(
            "SELECT userid || ' ' || queryid, sum(calls), sum(total_exec_time), \
             sum(total_plan_time), sum(rows), sum(shared_blks_hit + shared_blks_read) \
             FROM {schema}.pg_stat_statements(false) \
             WHERE dbid = {} AND queryid IS NOT NULL GROUP BY 1",
            link.facts.database
        );
        match link.ask(&sql).await {
            Ok(rows) => Self::parse(rows),
            Err(reason) => {
                gaps.note("pg_stat_statements", reason);
                Self::default()
            }
        }
    }

    fn parse(rows: Vec<Vec<Option<String>>>) -> Self {
        let counts = rows.into_iter().filter_map(|row| {
            let number = |at: usize| row.get(at)?.as_deref()?.parse::<f64>().ok();
            let counts = Counts {
                calls: number(1)?,
                execute_ms: number(2)?,
                plan_ms: number(3)?,
                rows: number(4)?,
                blocks: number(5)?,
            };
            Some((row.into_iter().next()??, counts))
        });
        Self { counts: counts.collect() }
    }

    /// The statements that took most time since `earlier`.
    fn top_since(&self, earlier: &Self) -> Vec<(&str, Counts)> {
        let mut grown: Vec<(&str, Counts)> = self
            .counts
            .iter()
            .filter_map(|(key, now)| {
                let then = earlier.counts.get(key).copied().unwrap_or_default();
                // Fewer calls than before: it was thrown out meanwhile, and counted anew.
                let then = if now.calls < then.calls { Counts::default() } else { then };
                let counts = Counts {
                    calls: now.calls - then.calls,
                    execute_ms: now.execute_ms - then.execute_ms,
                    plan_ms: now.plan_ms - then.plan_ms,
                    rows: now.rows - then.rows,
                    blocks: now.blocks - then.blocks,
                };
                (counts.calls > 0.0).then_some((key.as_str(), counts))
            })
            .collect();
        grown.sort_by(|a, b| b.1.execute_ms.total_cmp(&a.1.execute_ms).then(a.0.cmp(b.0)));
        grown.truncate(SHOWN);
        grown
    }

    /// The figures since `earlier`, with the texts.
    pub(crate) async fn since(
        &self,
        earlier: &Self,
        link: &mut Link,
        schema: &str,
    ) -> Vec<StatementFigures> {
        let top = self.top_since(earlier);
        if top.is_empty() {
            return Vec::new();
        }
        let keys: Vec<String> =
            top.iter().map(|(key, _)| format!("'{}'", key.replace('\'', "''"))).collect();
        let sql = format!(
            "SELECT userid || ' ' || queryid, left(max(query), {MOST_TEXT}) \
             FROM {schema}.pg_stat_statements(true) \
             WHERE dbid = {} AND userid || ' ' || queryid IN ({}) GROUP BY 1",
            link.facts.database,
            keys.join(", ")
        );
        let rows = link.ask(&sql).await.unwrap_or_default();
        let texts: HashMap<String, String> = rows
            .into_iter()
            .filter_map(|row| {
                let mut cells = row.into_iter();
                let key = cells.next()??;
                let text = cells.next()??;
                Some((key, text.split_whitespace().collect::<Vec<_>>().join(" ")))
            })
            .collect();
        let unnamed = || "a statement whose text we may not see".to_owned();
        top.into_iter()
            .map(|(key, counts)| StatementFigures {
                query: texts.get(key).cloned().unwrap_or_else(unnamed),
                calls: counts.calls,
                calls_per_op: None,
                execute_ms: counts.execute_ms,
                plan_ms: (counts.plan_ms > 0.0).then_some(counts.plan_ms),
                rows: counts.rows,
                blocks: counts.blocks,
                rows_read: None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(rows: &[(&str, [f64; 5])]) -> Statements {
        let row = |(key, numbers): &(&str, [f64; 5])| {
            let numbers = numbers.iter().map(|n| Some(n.to_string()));
            [Some((*key).to_owned())].into_iter().chain(numbers).collect()
        };
        Statements::parse(rows.iter().map(row).collect())
    }

    #[test]
    fn what_grew_most_comes_first() {
        let before = statements(&[
            ("1 a", [10.0, 100.0, 0.0, 10.0, 5.0]),
            ("1 b", [10.0, 900.0, 1.0, 10.0, 5.0]),
            ("1 idle", [3.0, 3.0, 0.0, 3.0, 3.0]),
        ]);
        let after = statements(&[
            ("1 a", [20.0, 300.0, 0.0, 20.0, 9.0]),
            ("1 b", [4.0, 40.0, 2.0, 4.0, 4.0]),
            ("1 idle", [3.0, 3.0, 0.0, 3.0, 3.0]),
            ("1 new", [1.0, 50.0, 0.0, 1.0, 1.0]),
        ]);
        let top = after.top_since(&before);
        let keys: Vec<_> = top.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["1 a", "1 new", "1 b"]);
        assert!((top[0].1.calls - 10.0).abs() < 1e-12 && (top[0].1.blocks - 4.0).abs() < 1e-12);
        assert!((top[2].1.calls - 4.0).abs() < 1e-12, "counted anew");
    }

    #[test]
    fn rows_that_are_not_counts_are_left_out() {
        assert!(
            Statements::parse(vec![vec![], vec![None], vec![Some("x".to_owned())]])
                .counts
                .is_empty()
        );
    }
}
