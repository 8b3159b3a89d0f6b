//! How pgbench's tables are made: its options with `-i`, and the statements that they come to.

use std::fmt::Write as _;
use std::str::FromStr;

use pinchpoint_sql::quote;

/// The tables that `pgbench -i` makes, in its order.
pub(crate) const TABLES: &str =
    "pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers";

/// Rows of `pgbench_accounts` and of `pgbench_tellers` for each of `pgbench_branches`.
pub(crate) const ACCOUNTS: u64 = 100_000;
const TELLERS: u64 = 10;

/// How pgbench's tables are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablesPlan {
    /// What is done, in order.
    pub steps: InitSteps,
    /// Percent of a page that is filled at first, 10 to 100.
    pub fillfactor: u8,
    /// Partitions of `pgbench_accounts`; 0 leaves it whole.
    pub partitions: u32,
    /// What decides a row's partition.
    pub partition_method: PartitionMethod,
    /// Whether nothing of the tables goes into the WAL.
    pub unlogged: bool,
    /// Where the tables are; the database's own place when absent.
    pub tablespace: Option<String>,
    /// Where the primary keys' indexes are; the database's own place when absent.
    pub index_tablespace: Option<String>,
}

/// What decides a row's partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartitionMethod {
    /// Equal ranges of the key.
    #[default]
    Range,
    /// The key's hash.
    Hash,
}

/// The steps of making the tables, in the order in which they are done: pgbench's `--init-steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitSteps(pub(crate) Vec<InitStep>);

/// A step of making the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InitStep {
    /// `d`: drop what is there.
    Drop,
    /// `t`: create the tables.
    Create,
    /// `g`: empty and fill them, with rows that we send.
    Generate,
    /// `G`: empty and fill them, with rows that the server makes.
    GenerateOnServer,
    /// `v`: vacuum them.
    Vacuum,
    /// `p`: primary keys.
    PrimaryKeys,
    /// `f`: foreign keys.
    ForeignKeys,
}

/// Steps that are none.
#[derive(Debug, thiserror::Error)]
pub enum InitStepsError {
    /// A letter without a meaning.
    #[error(
        "{0:?} is no step; they are d (drop the tables), t (create them), g or G (empty and fill \
         them from here or on the server), v (vacuum), p (primary keys), f (foreign keys)"
    )]
    Unknown(char),
    /// No letter at all.
    #[error("there is no step; pgbench's own are dtgvp")]
    Empty,
}

impl FromStr for InitSteps {
    type Err = InitStepsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Spaces are for the eye, as in pgbench.
        let letters = text.chars().filter(|letter| *letter != ' ');
        let steps = letters.map(InitStep::of).collect::<Result<Vec<_>, _>>()?;
        if steps.is_empty() { Err(InitStepsError::Empty) } else { Ok(Self(steps)) }
    }
}

impl Default for InitSteps {
    /// pgbench's, but that nothing is dropped unasked, and that the server makes the rows.
    fn default() -> Self {
        use InitStep::{Create, GenerateOnServer, PrimaryKeys, Vacuum};
        Self(vec![Create, GenerateOnServer, Vacuum, PrimaryKeys])
    }
}

impl InitSteps {
    /// With foreign keys, last, unless they are there.
    #[must_use]
    pub fn with_foreign_keys(mut self) -> Self {
        if !self.0.contains(&InitStep::ForeignKeys) {
            self.0.push(InitStep::ForeignKeys);
        }
        self
    }

    /// Without the vacuum.
    #[must_use]
    pub fn without_vacuum(mut self) -> Self {
        self.0.retain(|step| *step != InitStep::Vacuum);
        self
    }

    /// Whether tables are created before any were dropped.
    pub(crate) fn create_beside_others(&self) -> bool {
        let first = self.0.iter().find(|s| matches!(s, InitStep::Drop | InitStep::Create));
        first == Some(&InitStep::Create)
    }
}

impl InitStep {
    fn of(letter: char) -> Result<Self, InitStepsError> {
        Ok(match letter {
            'd' => Self::Drop,
            't' => Self::Create,
            'g' => Self::Generate,
            'G' => Self::GenerateOnServer,
            'v' => Self::Vacuum,
            'p' => Self::PrimaryKeys,
            'f' => Self::ForeignKeys,
            other => return Err(InitStepsError::Unknown(other)),
        })
    }
}

impl Default for TablesPlan {
    fn default() -> Self {
        Self {
            steps: InitSteps::default(),
            fillfactor: 100,
            partitions: 0,
            partition_method: PartitionMethod::Range,
            unlogged: false,
            tablespace: None,
            index_tablespace: None,
        }
    }
}

/// The columns of each table, as `pgbench -i` declares them, so that either tool can use the
/// other's tables.
const COLUMNS: [(&str, &str); 4] = [
    ("pgbench_history", "tid int, bid int, aid int, delta int, mtime timestamp, filler char(22)"),
    ("pgbench_tellers", "tid int NOT NULL, bid int, tbalance int, filler char(84)"),
    ("pgbench_accounts", "aid int NOT NULL, bid int, abalance int, filler char(84)"),
    ("pgbench_branches", "bid int NOT NULL, bbalance int, filler char(88)"),
];

impl TablesPlan {
    /// `CREATE TABLE`, partitions included.
    pub(crate) fn create(&self, scale: u64) -> Vec<String> {
        let place = clause(" TABLESPACE ", self.tablespace.as_deref());
        let fill = format!(" WITH (fillfactor = {})", self.fillfactor);
        let mut all = Vec::new();
        for (table, columns) in COLUMNS {
            let parted = self.partitions > 0 && table == "pgbench_accounts";
            // A table of partitions holds nothing itself; PostgreSQL 18 refuses to have it unlogged.
            let unlogged = if self.unlogged && !parted { "UNLOGGED " } else { "" };
            let rest = match (parted, self.partition_method) {
                (true, PartitionMethod::Range) => " PARTITION BY RANGE (aid)",
                (true, PartitionMethod::Hash) => " PARTITION BY HASH (aid)",
                // It only ever grows.
                _ if table == "pgbench_history" => "",
                _ => &fill,
            };
            all.push(format!("CREATE {unlogged}TABLE {table} ({columns}){rest}{place}"));
        }
        let unlogged = if self.unlogged { "UNLOGGED " } else { "" };
        for number in 1..=self.partitions {
            let bounds = self.bounds(number, scale * ACCOUNTS);
            all.push(format!(
                "CREATE {unlogged}TABLE pgbench_accounts_{number} PARTITION OF pgbench_accounts \
                 FOR VALUES {bounds}{fill}"
            ));
        }
        all
    }

    /// What a partition holds; the first and the last range are open, as in pgbench.
    fn bounds(&self, number: u32, accounts: u64) -> String {
        let all = self.partitions;
        if self.partition_method == PartitionMethod::Hash {
            return format!("WITH (MODULUS {all}, REMAINDER {})", number - 1);
        }
        let size = accounts.div_ceil(all.into());
        let begin = |number: u32| (u64::from(number - 1) * size + 1).to_string();
        let from = if number == 1 { "MINVALUE".to_owned() } else { begin(number) };
        let to = if number == all { "MAXVALUE".to_owned() } else { begin(number + 1) };
        format!("FROM ({from}) TO ({to})")
    }

    /// `ALTER TABLE … ADD PRIMARY KEY`.
    pub(crate) fn primary_keys(&self) -> Vec<String> {
        let place = clause(" USING INDEX TABLESPACE ", self.index_tablespace.as_deref());
        ["branches (bid)", "tellers (tid)", "accounts (aid)"]
            .iter()
            .map(|key| {
                let (table, column) = key.split_at(key.find(' ').unwrap_or(key.len()));
                format!("ALTER TABLE pgbench_{table} ADD PRIMARY KEY{column}{place}")
            })
            .collect()
    }

    /// The statement that takes the rows of `pgbench_accounts` that we send.
    pub(crate) fn copy(&self) -> String {
        // The table is emptied in the same transaction; partitions cannot be loaded frozen.
        let frozen = if self.partitions == 0 { " WITH (FREEZE ON)" } else { "" };
        format!("COPY pgbench_accounts FROM STDIN{frozen}")
    }
}

/// The foreign keys, by pgbench's names.
pub(crate) fn foreign_keys() -> Vec<String> {
    [
        ("tellers", "bid", "branches"),
        ("accounts", "bid", "branches"),
        ("history", "bid", "branches"),
        ("history", "tid", "tellers"),
        ("history", "aid", "accounts"),
    ]
    .iter()
    .map(|(table, column, other)| {
        format!(
            "ALTER TABLE pgbench_{table} ADD CONSTRAINT pgbench_{table}_{column}_fkey \
             FOREIGN KEY ({column}) REFERENCES pgbench_{other}"
        )
    })
    .collect()
}

/// The rows of the two small tables.
pub(crate) fn small_rows(scale: u64) -> [String; 2] {
    let tellers = scale * TELLERS;
    [
        format!(
            "INSERT INTO pgbench_branches (bid, bbalance) \
             SELECT bid, 0 FROM generate_series(1, {scale}) AS bid"
        ),
        format!(
            "INSERT INTO pgbench_tellers (tid, bid, tbalance) \
             SELECT tid, (tid - 1) / {TELLERS} + 1, 0 FROM generate_series(1, {tellers}) AS tid"
        ),
    ]
}

/// The rows of `pgbench_accounts`, made by the server.
pub(crate) fn accounts_on_server(scale: u64) -> String {
    let accounts = scale * ACCOUNTS;
    format!(
        "INSERT INTO pgbench_accounts (aid, bid, abalance, filler) \
         SELECT aid, (aid - 1) / {ACCOUNTS} + 1, 0, '' FROM generate_series(1, {accounts}) AS aid"
    )
}

/// Rows of `pgbench_accounts` in COPY's text format: those with the keys of this range.
pub(crate) fn account_rows(keys: std::ops::RangeInclusive<u64>) -> String {
    let mut text = String::new();
    for aid in keys {
        // Into memory: nothing can fail. The last field is an empty text, not null.
        let _ = writeln!(text, "{aid}\t{}\t0\t", (aid - 1) / ACCOUNTS + 1);
    }
    text
}

/// A clause that names something, or nothing.
fn clause(head: &str, name: Option<&str>) -> String {
    name.map(|name| format!("{head}{}", quote(name))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(partitions: u32, partition_method: PartitionMethod) -> TablesPlan {
        TablesPlan { partitions, partition_method, ..TablesPlan::default() }
    }

    #[test]
    fn steps_are_pgbenchs_letters() {
        use InitStep::{
            Create, Drop, ForeignKeys, Generate, GenerateOnServer, PrimaryKeys, Vacuum,
        };
        let steps: InitSteps = "dt gGvpf".parse().expect("steps");
        let all = [Drop, Create, Generate, GenerateOnServer, Vacuum, PrimaryKeys, ForeignKeys];
        assert_eq!(steps.0, all);
        assert_eq!(steps.clone().with_foreign_keys(), steps);
        assert!(!steps.without_vacuum().0.contains(&Vacuum));
        assert_eq!(InitSteps::default().with_foreign_keys().0.last(), Some(&ForeignKeys));
        let unknown = "dtx".parse::<InitSteps>().expect_err("no step").to_string();
        assert!(unknown.starts_with("'x' is no step"), "{unknown}");
        assert!(matches!(" ".parse::<InitSteps>(), Err(InitStepsError::Empty)));
    }

    #[test]
    fn others_tables_are_minded_unless_they_are_dropped_first() {
        for (steps, minded) in
            [("t", true), ("td", true), ("dt", false), ("gdt", false), ("g", false)]
        {
            let steps: InitSteps = steps.parse().expect("steps");
            assert_eq!(steps.create_beside_others(), minded, "{steps:?}");
        }
        assert!(InitSteps::default().create_beside_others());
    }

    #[test]
    fn partitions_meet_without_a_gap_and_are_open_at_the_ends() {
        let bounds = |plan: &TablesPlan, accounts| {
            (1..=plan.partitions).map(|n| plan.bounds(n, accounts)).collect::<Vec<_>>()
        };
        assert_eq!(
            bounds(&plan(3, PartitionMethod::Range), 100_000),
            ["FROM (MINVALUE) TO (33335)", "FROM (33335) TO (66669)", "FROM (66669) TO (MAXVALUE)"]
        );
        assert_eq!(
            bounds(&plan(1, PartitionMethod::Range), 100_000),
            ["FROM (MINVALUE) TO (MAXVALUE)"]
        );
        assert_eq!(
            bounds(&plan(2, PartitionMethod::Hash), 100_000),
            ["WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"]
        );
    }

    #[test]
    fn names_are_quoted_wherever_they_stand() {
        let nasty = r#"x" ; DROP TABLE t; --"#.to_owned();
        let plan = TablesPlan {
            tablespace: Some(nasty.clone()),
            index_tablespace: Some(nasty),
            unlogged: true,
            fillfactor: 70,
            ..plan(1, PartitionMethod::Hash)
        };
        let quoted = r#""x"" ; DROP TABLE t; --""#;
        let create = plan.create(1);
        assert_eq!(
            create[2],
            format!(
                "CREATE TABLE pgbench_accounts ({}) PARTITION BY HASH (aid) TABLESPACE {quoted}",
                COLUMNS[2].1
            )
        );
        assert_eq!(
            create[3],
            format!(
                "CREATE UNLOGGED TABLE pgbench_branches ({}) WITH (fillfactor = 70) \
                 TABLESPACE {quoted}",
                COLUMNS[3].1
            )
        );
        assert!(create[4].ends_with("REMAINDER 0) WITH (fillfactor = 70)"), "{}", create[4]);
        assert_eq!(
            plan.primary_keys()[2],
            format!(
                "ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid) USING INDEX TABLESPACE {quoted}"
            )
        );
    }

    #[test]
    fn rows_that_we_send_are_those_that_the_server_would_make() {
        assert_eq!(account_rows(100_000..=100_001), "100000\t1\t0\t\n100001\t2\t0\t\n");
    }
}
