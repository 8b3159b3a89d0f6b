use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pinchpoint_measure::{SqlLever, Threshold};
use pinchpoint_plan::LoadPlan;
use pinchpoint_script::{BUILT_IN, BuiltIn, Compiler, Program, Protocol, Value, built_in_names};

use crate::error::LabError;
use crate::ledger::Ledger;
use crate::observe_job::Observe;
use crate::options::Target;
use crate::pgbench_tables::LARGEST_SCALE;
use crate::tables_plan::TablesPlan;

/// A load of pgbench scripts on a server.
#[derive(Debug, Clone)]
pub struct SqlJob {
    /// What clients run.
    pub work: SqlWork,
    /// Clients: the most transactions under way at once.
    pub clients: u32,
    /// Where their connections come from.
    pub connection: SqlConnection,
    /// Transactions of each client, after which the run ends; time decides when absent.
    pub transactions: Option<u64>,
    /// How long, how often, how fast.
    pub load: LoadPlan,
    /// The server, and how it is made ready.
    pub server: SqlServer,
    /// What is observed beside it.
    pub observe: Observe,
    /// Whether the summary shows each statement.
    pub shows_statements: bool,
    /// What is counted, judged and written beside the figures of the summary.
    pub account: SqlAccount,
    /// Whether the load's own sessions wait for their commits to be on disk; as the server has it
    /// when absent.
    pub synchronous_commit: Option<bool>,
    /// Whether to prove the verdict: after the trials, demands are made larger on purpose.
    pub prove: bool,
    /// What is changed afterwards, each by itself: predicted, run, and held against its prediction.
    pub next: Vec<SqlLever>,
    /// Where what became of the predictions is kept, and learned from.
    pub ledger: Option<Ledger>,
    /// The result directory; a result is kept in memory alone when absent.
    pub directory: Option<PathBuf>,
}

/// What is counted, judged and written beside the figures of the summary.
#[derive(Debug, Clone, Default)]
pub struct SqlAccount {
    /// Response time above which a transaction is late; with a rate, what is late by more before it
    /// is started is skipped.
    pub latency_limit: Option<Duration>,
    /// Limits that each trial is held against.
    pub thresholds: Vec<Threshold>,
    /// Whether failures are told apart by kind.
    pub failures_detailed: bool,
    /// The transaction log.
    pub log: Option<SqlLog>,
}

/// A transaction log in pgbench's format.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlLog {
    /// What its files' names begin with, directory included.
    pub prefix: String,
    /// Share of the transactions that are written, above 0 and up to 1.
    pub share: f64,
    /// A line for each interval of so many seconds, instead of one for each transaction.
    pub interval_s: Option<u32>,
}

/// What clients run.
#[derive(Debug, Clone)]
pub struct SqlWork {
    /// The scripts; pgbench's `tpcb-like` when empty.
    pub scripts: Vec<ScriptSource>,
    /// How statements are sent.
    pub mode: QueryMode,
    /// Variables and their values, as `-D` gives them.
    pub variables: Vec<(String, String)>,
    /// `:scale`; counted in the database or 1 when absent.
    pub scale: Option<u64>,
    /// Tries of a transaction that the server gives up in favour of another; at least 1.
    pub max_tries: u32,
}

/// A script and how often it is chosen.
#[derive(Debug, Clone)]
pub enum ScriptSource {
    /// One of pgbench's own, by its name or the beginning of it.
    BuiltIn {
        /// The name.
        name: String,
        /// Its weight among all.
        weight: u32,
    },
    /// A text.
    File {
        /// What it is called.
        name: String,
        /// The script.
        text: String,
        /// Its weight among all.
        weight: u32,
    },
}

/// How statements are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueryMode {
    /// As text, with variables replaced in it.
    #[default]
    Simple,
    /// Parsed each time, with variables bound.
    Extended,
    /// Prepared once on each connection, with variables bound.
    Prepared,
}

/// Where clients' connections come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlConnection {
    /// Each client has its own.
    Own,
    /// A new one for each transaction.
    PerTransaction,
    /// A pool of so many that all clients share.
    Pool(u32),
}

/// The server, and how it is made ready.
#[derive(Debug, Clone)]
pub struct SqlServer {
    /// Where.
    pub target: Target,
    /// Settings of a managed server.
    pub settings: Vec<(String, String)>,
    /// CPUs of a managed server.
    pub cpus: Option<f64>,
    /// Memory of a managed server.
    pub memory_bytes: Option<u64>,
    /// Makes pgbench's tables first.
    pub initialize: bool,
    /// How they are made.
    pub tables: TablesPlan,
    /// Drops tables of these names that are there.
    pub replace: bool,
    /// SQL that is run first, after pgbench's tables have been made.
    pub init: Option<Vec<String>>,
    /// What is vacuumed before scripts are run.
    pub vacuum: Vacuuming,
}

/// What is vacuumed before scripts are run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Vacuuming {
    /// pgbench's tables on a private server, when its own scripts are run; their history is emptied.
    #[default]
    Private,
    /// Nothing.
    Nothing,
    /// All of pgbench's tables, on a server of somebody else's too.
    All,
}

/// What is known of a script before it is compiled.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) title: String,
    text: String,
    weight: u32,
}

impl SqlWork {
    /// The scripts with their texts.
    pub(crate) fn named(&self) -> Result<Vec<Named>, LabError> {
        let default = [ScriptSource::BuiltIn { name: "tpcb-like".to_owned(), weight: 1 }];
        let sources = if self.scripts.is_empty() { &default[..] } else { &self.scripts };
        sources.iter().map(ScriptSource::named).collect()
    }

    /// Whether one of the scripts needs pgbench's tables.
    pub(crate) fn uses_built_in(&self) -> bool {
        let built_in = |s: &ScriptSource| matches!(s, ScriptSource::BuiltIn { .. });
        self.scripts.is_empty() || self.scripts.iter().any(built_in)
    }

    /// The checked program. `scale` and the seeds are variables of it.
    pub(crate) fn program(&self, scale: u64, seed: u64) -> Result<Arc<Program>, LabError> {
        let unsuitable = LabError::Unsuitable;
        let mut compiler = Compiler::new(match self.mode {
            QueryMode::Simple => Protocol::Simple,
            QueryMode::Extended => Protocol::Extended,
            QueryMode::Prepared => Protocol::Prepared,
        });
        let integer = |n: u64| Value::Integer(n as i64);
        let given =
            self.variables.iter().map(|(n, v)| (n.as_str(), Value::Text(v.as_str().into())));
        // Later ones win: what the user gives beats what we say.
        let ours = [
            ("scale", integer(scale)),
            ("random_seed", integer(seed)),
            ("default_seed", integer(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
        ];
        for (name, value) in ours.into_iter().chain(given) {
            compiler.define(name, value).map_err(unsuitable)?;
        }
        for script in self.named()? {
            let Named { name, text, weight, .. } = script;
            compiler.add(&name, &text, weight).map_err(|e| unsuitable(e.to_string()))?;
        }
        compiler.finish().map(Arc::new).map_err(|e| unsuitable(e.to_string()))
    }
}

impl ScriptSource {
    fn named(&self) -> Result<Named, LabError> {
        match self {
            Self::File { name, text, weight } => Ok(Named {
                name: name.clone(),
                title: name.clone(),
                text: text.clone(),
                weight: *weight,
            }),
            Self::BuiltIn { name, weight } => match BuiltIn::find(name) {
                Some(found) => Ok(Named {
                    name: found.name.to_owned(),
                    title: found.title.to_owned(),
                    text: found.text.to_owned(),
                    weight: *weight,
                }),
                None => Err(LabError::Unsuitable(format!(
                    "no built-in script is called {name:?}; there are {}",
                    built_in_names()
                ))),
            },
        }
    }
}

/// The statements of a file that prepares a database; `name` is what the file is called.
pub fn split_statements(name: &str, text: &str) -> Result<Vec<String>, LabError> {
    pinchpoint_script::split(name, text).map_err(|e| LabError::Unsuitable(e.to_string()))
}

/// pgbench's own scripts: name, title and text.
pub fn built_in_scripts() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    BUILT_IN.iter().map(|b| (b.name, b.title, b.text))
}

impl SqlJob {
    /// Refuses what cannot be run, before anything starts.
    pub fn check(&self) -> Result<(), LabError> {
        let refuse = |text: &str| Err(LabError::Unsuitable(text.to_owned()));
        if self.work.scale.is_some_and(|s| !(1..=LARGEST_SCALE).contains(&s)) {
            return refuse("the scale is out of bounds: it is 1 to 20000");
        }
        if self.transactions == Some(0) {
            return refuse("a client runs at least one transaction");
        }
        self.check_next()?;
        // A stand-in for the scale and the seed, which are not known yet.
        self.work.program(1, 1).map(|_| ())
    }
}
