use crate::error::LabError;
use crate::server::Server;

/// The tables that `pgbench -i` makes, in its order.
const TABLES: [&str; 4] =
    ["pgbench_accounts", "pgbench_branches", "pgbench_history", "pgbench_tellers"];

/// Rows of `pgbench_accounts` and of `pgbench_tellers` for each of `pgbench_branches`.
const ACCOUNTS: u64 = 100_000;
const TELLERS: u64 = 10;

/// The largest scale: the accounts' key is an `integer`.
pub(crate) const LARGEST_SCALE: u64 = 20_000;

/// Makes and fills the tables of `pgbench -i`, on the server's side. Anything called `pgbench_…` that
/// is there already stops us, unless `replace` is set: then the four tables are dropped first.
pub(crate) async fn make(server: &mut Server, scale: u64, replace: bool) -> Result<(), LabError> {
    if !replace && server.number(THERE, "look for pgbench's tables").await? > 0 {
        return Err(LabError::Unsuitable(
            "the database has tables of pgbench's already; leave -i out to use them, or have \
             `pinchpoint sql -i --drop-tables` drop them and make them anew"
                .to_owned(),
        ));
    }
    // Never without being asked: a table may have come since we looked.
    let drop = replace.then(|| format!("DROP TABLE IF EXISTS {}", TABLES.join(", ")));
    for statement in drop.into_iter().chain(statements(scale)) {
        server.execute(&statement, "make pgbench's tables").await?;
    }
    Ok(())
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
        Ok(0) => Err(LabError::Unsuitable("pgbench_branches is empty; give -i to fill it".into())),
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

/// The schema is `pgbench -i`'s, column by column, so that either tool can use the other's tables.
fn statements(scale: u64) -> Vec<String> {
    let (accounts, tellers) = (scale * ACCOUNTS, scale * TELLERS);
    vec![
        "CREATE TABLE pgbench_history \
         (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))"
            .to_owned(),
        "CREATE TABLE pgbench_tellers (tid int NOT NULL, bid int, tbalance int, filler char(84)) \
         WITH (fillfactor = 100)"
            .to_owned(),
        "CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84)) \
         WITH (fillfactor = 100)"
            .to_owned(),
        "CREATE TABLE pgbench_branches (bid int NOT NULL, bbalance int, filler char(88)) \
         WITH (fillfactor = 100)"
            .to_owned(),
        format!(
            "INSERT INTO pgbench_branches (bid, bbalance) \
             SELECT bid, 0 FROM generate_series(1, {scale}) AS bid"
        ),
        format!(
            "INSERT INTO pgbench_tellers (tid, bid, tbalance) \
             SELECT tid, (tid - 1) / {TELLERS} + 1, 0 FROM generate_series(1, {tellers}) AS tid"
        ),
        format!(
            "INSERT INTO pgbench_accounts (aid, bid, abalance, filler) \
             SELECT aid, (aid - 1) / {ACCOUNTS} + 1, 0, '' FROM generate_series(1, {accounts}) AS aid"
        ),
        "VACUUM ANALYZE pgbench_branches".to_owned(),
        "VACUUM ANALYZE pgbench_tellers".to_owned(),
        "VACUUM ANALYZE pgbench_accounts".to_owned(),
        "VACUUM ANALYZE pgbench_history".to_owned(),
        "ALTER TABLE pgbench_branches ADD PRIMARY KEY (bid)".to_owned(),
        "ALTER TABLE pgbench_tellers ADD PRIMARY KEY (tid)".to_owned(),
        "ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)".to_owned(),
    ]
}
