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

/// Makes and fills the tables of `pgbench -i`, on the server's side. Tables of these names that are
/// there already are dropped when `replace` is set, and stop us otherwise.
pub(crate) async fn make(server: &mut Server, scale: u64, replace: bool) -> Result<(), LabError> {
    let named = TABLES.map(|name| format!("to_regclass('{name}')")).join(", ");
    let there = format!("SELECT num_nonnulls({named})");
    if server.number(&there, "look for pgbench's tables").await? > 0 && !replace {
        return Err(LabError::Unsuitable(
            "the database has tables of pgbench's already; leave -i out to use them, or give \
             --drop-tables to have them dropped and made anew"
                .to_owned(),
        ));
    }
    for statement in statements(scale) {
        server.execute(&statement, "make pgbench's tables").await?;
    }
    Ok(())
}

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
        format!("DROP TABLE IF EXISTS {}", TABLES.join(", ")),
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
