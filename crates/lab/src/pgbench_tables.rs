use crate::error::LabError;
use crate::server::Server;
use crate::tables_plan::{
    ACCOUNTS, InitStep, TABLES, TablesPlan, account_rows, accounts_on_server, foreign_keys,
    small_rows,
};

/// The largest scale: the accounts' key is an `integer`.
pub(crate) const LARGEST_SCALE: u64 = 20_000;
/// Rows that are sent at once: about 64 KiB.
const AT_ONCE: u64 = 4096;

const MAKE: &str = "make pgbench's tables";

/// Makes and fills the tables of `pgbench -i`. Anything called `pgbench_…` that is there already
/// stops us, unless a step or `replace` says that the four tables are to be dropped first.
pub(crate) async fn make(
    server: &mut Server,
    plan: &TablesPlan,
    scale: u64,
    replace: bool,
) -> Result<(), LabError> {
    if plan.steps.create_beside_others()
        && !replace
        && server.number(THERE, "look for pgbench's tables").await? > 0
    {
        return Err(LabError::Unsuitable(
            "the database has tables of pgbench's already; leave -i out to use them, or have \
             `pinchpoint sql -i --drop-tables` drop them and make them anew"
                .to_owned(),
        ));
    }
    // Never without being asked: a table may have come since we looked.
    let first = replace.then_some(InitStep::Drop);
    for step in first.iter().chain(&plan.steps.0) {
        take(server, plan, scale, *step).await?;
    }
    Ok(())
}

async fn take(
    server: &mut Server,
    plan: &TablesPlan,
    scale: u64,
    step: InitStep,
) -> Result<(), LabError> {
    let statements = match step {
        InitStep::Drop => vec![format!("DROP TABLE IF EXISTS {TABLES}")],
        InitStep::Create => plan.create(scale),
        InitStep::Generate => return fill(server, plan, scale).await,
        InitStep::GenerateOnServer => {
            let mut all = vec!["BEGIN".to_owned(), format!("TRUNCATE TABLE {TABLES}")];
            all.extend(small_rows(scale));
            all.extend([accounts_on_server(scale), "COMMIT".to_owned()]);
            all
        }
        InitStep::Vacuum => ["branches", "tellers", "accounts", "history"]
            .iter()
            .map(|table| format!("VACUUM ANALYZE pgbench_{table}"))
            .collect(),
        InitStep::PrimaryKeys => plan.primary_keys(),
        InitStep::ForeignKeys => foreign_keys(),
    };
    for statement in statements {
        server.execute(&statement, MAKE).await?;
    }
    Ok(())
}

/// Empties the tables and fills them with rows that we send, in one transaction.
async fn fill(server: &mut Server, plan: &TablesPlan, scale: u64) -> Result<(), LabError> {
    server.execute("BEGIN", MAKE).await?;
    server.execute(&format!("TRUNCATE TABLE {TABLES}"), MAKE).await?;
    for rows in small_rows(scale) {
        server.execute(&rows, MAKE).await?;
    }
    let last = scale * ACCOUNTS;
    let mut next = 1;
    let part = || {
        let from = next;
        let to = last.min(from + AT_ONCE - 1);
        next = to + 1;
        (from <= last).then(|| account_rows(from..=to).into_bytes())
    };
    server.copy(&plan.copy(), part, MAKE).await?;
    server.execute("COMMIT", MAKE).await
}

/// Tables, views and the like that would be meant by a name like those of pgbench's tables, or that
/// are where its tables would be made.
const THERE: &str = "SELECT count(*) FROM pg_catalog.pg_class \
     WHERE relname LIKE 'pgbench\\_%' AND relkind IN ('r', 'p', 'v', 'm', 'f') \
     AND (pg_catalog.pg_table_is_visible(oid) \
          OR relnamespace = to_regnamespace(quote_ident(current_schema())))";

/// The scale of the tables that are there.
pub(crate) async fn scale(server: &mut Server) -> Result<u64, LabError> {
    let count = "SELECT count(*) FROM pgbench_branches";
    match server.number(count, "count pgbench_branches").await {
        Ok(0) => Err(LabError::Unsuitable(
            "pgbench_branches is empty; give -i to fill it, with g or G among the steps of -I"
                .to_owned(),
        )),
        Err(LabError::Server { source, .. }) if source.is_undefined_table() => {
            Err(LabError::Unsuitable(
                "the database has no pgbench tables; give -i (and -s SCALE) to make them"
                    .to_owned(),
            ))
        }
        other => other,
    }
}

/// What pgbench does to its tables before it runs a script of its own.
pub(crate) async fn tidy(server: &mut Server) -> Result<(), LabError> {
    for statement in
        ["VACUUM pgbench_branches", "VACUUM pgbench_tellers", "TRUNCATE pgbench_history"]
    {
        server.execute(statement, "tidy pgbench's tables").await?;
    }
    Ok(())
}

/// What is left of pgbench's tables once they are [tidy](tidy), or all of them: vacuums.
pub(crate) async fn vacuum(server: &mut Server, tidied: bool) -> Result<(), LabError> {
    let rest = ["branches", "tellers", "history"];
    let rest = if tidied { &[][..] } else { &rest };
    for statement in rest
        .iter()
        .map(|table| format!("VACUUM pgbench_{table}"))
        .chain(["VACUUM ANALYZE pgbench_accounts".to_owned()])
    {
        server.execute(&statement, "vacuum pgbench's tables (-v)").await?;
    }
    Ok(())
}
