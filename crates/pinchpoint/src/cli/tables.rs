use clap::{Args, ValueEnum};
use pinchpoint_lab::InitSteps;

/// How pgbench's tables are made.
#[derive(Debug, Args)]
#[command(next_help_heading = "pgbench's tables, with -i")]
pub(crate) struct TablesArgs {
    /// What is done, letter by letter: d drops the tables, t creates them, g empties them and sends
    /// their rows, G has the server make the rows, v vacuums, p adds primary keys, f foreign keys
    /// [default: tGvp, with d first on --drop-tables]
    #[arg(long, short = 'I', value_name = "STEPS", requires = "initialize")]
    pub(crate) init_steps: Option<InitSteps>,

    /// Percent of a page that is filled at first; the rest is left for updates [default: 100]
    #[arg(
        long,
        short = 'F',
        value_name = "PERCENT",
        requires = "initialize",
        allow_negative_numbers = true
    )]
    pub(crate) fillfactor: Option<u8>,

    /// Foreign keys between the tables.
    #[arg(long, requires = "initialize")]
    pub(crate) foreign_keys: bool,

    /// Partitions of the table of accounts; 0 for none
    #[arg(long, value_name = "COUNT", requires = "initialize", allow_negative_numbers = true)]
    pub(crate) partitions: Option<u32>,

    /// What decides a row's partition [default: range]
    #[arg(long, value_enum, value_name = "METHOD", requires = "partitions")]
    pub(crate) partition_method: Option<Method>,

    /// Tables of which nothing goes into the WAL; a crash empties them.
    #[arg(long, requires = "initialize")]
    pub(crate) unlogged_tables: bool,

    /// Where the server keeps the tables
    #[arg(long, value_name = "TABLESPACE", requires = "initialize")]
    pub(crate) tablespace: Option<String>,

    /// Where the server keeps the primary keys' indexes
    #[arg(long, value_name = "TABLESPACE", requires = "initialize")]
    pub(crate) index_tablespace: Option<String>,
}

/// What decides a row's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Equal ranges of the key.
    Range,
    /// The key's hash.
    Hash,
}
