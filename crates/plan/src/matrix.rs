use std::time::Duration;

use crate::{LoadPlan, PostgresPlan};

/// A checked matrix: applications, the ways in which they reach the database, and numbers of users.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Lower-case letters, digits and dashes; part of the result directory's name.
    pub name: String,
    /// One or two sentences; may be empty.
    pub description: String,
    /// The database server.
    pub postgres: PostgresPlan,
    /// The pooler, started for the cases that go through it.
    pub pgbouncer: PoolerPlan,
    /// A Redis for the applications; absent when none is started.
    pub redis: Option<RedisPlan>,
    /// What the applications read.
    pub dataset: DatasetPlan,
    /// How long, how often, how fast.
    pub load: LoadPlan,
    /// What is asked of the applications.
    pub http: HttpPlan,
    /// The applications; never empty, names unique.
    pub apps: Vec<AppPlan>,
    /// Names of the profiles that the cases are made of; every application has each of them.
    pub profiles: Vec<String>,
    /// Ways to the database.
    pub connections: Vec<Via>,
    /// Numbers of virtual users, ascending.
    pub users: Vec<u32>,
    /// Steps from one set of settings to another, each measured.
    pub waterfalls: Vec<Waterfall>,
    /// Limits that figures of every case must keep.
    pub thresholds: Vec<String>,
    /// Ways to run it under a name, for `--profile`.
    pub runs: Vec<RunPlan>,
    /// The text that this was read from.
    pub source: String,
}

/// A way to run a matrix: some of its cases, for another time, held against limits of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunPlan {
    /// What `--profile` takes.
    pub name: String,
    /// `factor=level,level`, as for `--only`.
    pub only: Vec<String>,
    /// Measured time of a trial; absent for the file's.
    pub duration: Option<Duration>,
    /// Trials of each case; absent for the file's.
    pub trials: Option<u32>,
    /// Limits beside those of the file.
    pub thresholds: Vec<String>,
}

/// How an application reaches the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// Its connections are the server's.
    Direct,
    /// Through PgBouncer.
    PgBouncer,
}

impl Via {
    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Direct, Self::PgBouncer].into_iter().find(|via| via.name() == name)
    }

    /// As files and tables have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::PgBouncer => "pgbouncer",
        }
    }
}

/// The pooler.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolerPlan {
    /// CPUs that it may use; absent for no limit.
    pub cpus: Option<f64>,
    /// Bytes of memory that it may use; absent for no limit.
    pub memory_bytes: Option<u64>,
    /// Settings of `[pgbouncer]` and their values, in the file's order; none of those that
    /// pinchpoint sets itself.
    pub settings: Vec<(String, String)>,
}

/// A Redis that applications find by `REDIS_URL`; emptied before each trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RedisPlan {
    /// CPUs that it may use; absent for no limit.
    pub cpus: Option<f64>,
    /// Bytes of memory that it may use; absent for no limit.
    pub memory_bytes: Option<u64>,
    /// Settings of `redis.conf` and their values, in the file's order.
    pub settings: Vec<(String, String)>,
}

/// The blog that applications read: its sizes in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetPlan {
    /// Users.
    pub users: u64,
    /// Posts.
    pub posts: u64,
    /// Comments.
    pub comments: u64,
    /// Seed of the texts.
    pub seed: u64,
    /// Whether users have credentials and sessions, and applications may change what is theirs.
    pub accounts: bool,
    /// Whether the indexes are there that the blog can do without; a profile may say otherwise.
    pub indexes: bool,
}

/// What is asked of the applications, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpPlan {
    /// The requests; never empty.
    pub requests: Vec<RequestPlan>,
    /// An answer that takes longer is a failure.
    pub timeout: Duration,
    /// Users that start a second; absent for all at once.
    pub spawn_per_s: Option<f64>,
    /// Pause of a user after each answer.
    pub think: Duration,
    /// Whether a user keeps its connection.
    pub keep_alive: bool,
    /// Whether a server's certificate goes unchecked.
    pub insecure: bool,
    /// Statements that a right answer takes; absent when they are not to be counted.
    pub statements_per_request: Option<f64>,
}

/// A request that users make.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestPlan {
    /// The name that its figures stand under.
    pub name: String,
    /// How often it is drawn, against the others.
    pub weight: u32,
    /// `GET`, ….
    pub method: String,
    /// Path and query; `{name}` stands for a parameter.
    pub path: String,
    /// Parameters of the path.
    pub parameters: Vec<ParameterPlan>,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: String,
    /// What the answer must be; a status check is always there.
    pub checks: Vec<CheckPlan>,
}

/// A whole number that is drawn for each request.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterPlan {
    /// Its name in the path.
    pub name: String,
    /// The least.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// Exponent of a Zipf choice; absent for a uniform one.
    pub zipf: Option<f64>,
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckPlan {
    /// This status.
    Status(u16),
    /// A JSON body with something at this pointer (RFC 6901).
    JsonExists(String),
    /// A JSON body with this value, as JSON text, at this pointer.
    JsonEquals(String, String),
    /// A body of at least this many bytes.
    BodyAtLeast(u64),
    /// A body of at most this many bytes.
    BodyAtMost(u64),
}

/// An application under test.
#[derive(Debug, Clone, PartialEq)]
pub struct AppPlan {
    /// `fastapi`.
    pub name: String,
    /// The framework, for tables: `FastAPI`.
    pub framework: String,
    /// `Python`, `Rust`.
    pub language: String,
    /// What speaks to the database: `asyncpg`.
    pub driver: String,
    /// Where its files are: a directory that ships inside, or a path.
    pub directory: Option<String>,
    /// Its list of pinned Python packages, in that directory; a virtual environment is made of it.
    pub requirements: Option<String>,
    /// Program and arguments; `{host}`, `{port}` and `{venv}` are filled in. Empty for an
    /// application that somebody else runs.
    pub command: Vec<String>,
    /// The path that answers 200 when it is ready.
    pub health: String,
    /// How long it may take to be ready.
    pub ready_within: Duration,
    /// CPUs that it may use; absent for no limit.
    pub cpus: Option<f64>,
    /// Bytes of memory that it may use; absent for no limit.
    pub memory_bytes: Option<u64>,
    /// Environment in every profile.
    pub env: Vec<(String, String)>,
    /// The path of its metrics in Prometheus's text format; read before and after the measured part.
    pub metrics: Option<String>,
    /// Where it answers when somebody else runs it, directly connected.
    pub url: Option<String>,
    /// The same, behind the pooler.
    pub pooled_url: Option<String>,
    /// Its profiles; never empty, names unique.
    pub profiles: Vec<Profile>,
}

/// Settings of an application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// `documents`, `tuned`, or the name of a waterfall's step.
    pub name: String,
    /// Takes the place of the application's command.
    pub command: Option<Vec<String>>,
    /// Processes that serve requests.
    pub processes: u32,
    /// Threads of each; for an event loop 1.
    pub threads: u32,
    /// Most connections of all processes to what is behind them; absent when nothing bounds them.
    pub connections: Option<u32>,
    /// Its pools in words: `5 + 10 overflow a process`.
    pub pool: String,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// More of it when directly connected.
    pub direct: Vec<(String, String)>,
    /// More of it behind the pooler.
    pub pgbouncer: Vec<(String, String)>,
    /// Environment of a second process of the application, which `{beside}` in the first one's
    /// environment is the URL of; empty for none.
    pub beside: Vec<(String, String)>,
    /// Measured from the first request on, without a warm-up.
    pub cold: bool,
    /// Whether the indexes are there that the blog can do without; absent for the dataset's word.
    pub indexes: Option<bool>,
}

/// Settings changed one at a time, at one number of users.
#[derive(Debug, Clone, PartialEq)]
pub struct Waterfall {
    /// The application.
    pub app: String,
    /// Virtual users.
    pub users: u32,
    /// The steps in order; never empty.
    pub steps: Vec<Step>,
}

/// A step of a waterfall.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The settings; their name is the step's.
    pub profile: Profile,
    /// What changes, in a few words.
    pub title: String,
    /// How it reaches the database.
    pub via: Via,
    /// Whether the pooler must keep track of prepared statements (PgBouncer 1.21).
    pub needs_prepared: bool,
}

/// One case of a matrix: what is started and how it is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Unique: `fastapi-direct-100`, `django-waterfall-1-default`.
    pub name: String,
    /// What it is, in a few words.
    pub title: String,
    /// Position of the application in [`Matrix::apps`].
    pub app: usize,
    /// Its settings.
    pub profile: Profile,
    /// How it reaches the database.
    pub via: Via,
    /// Virtual users.
    pub users: u32,
    /// The waterfall's application and the step's number from 1, when it is one.
    pub step: Option<(String, u32)>,
    /// Whether the pooler must keep track of prepared statements.
    pub needs_prepared: bool,
}

impl Matrix {
    /// Every case: applications, profiles, connections, users, in the file's order, then the
    /// waterfalls.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (app, plan) in self.apps.iter().enumerate() {
            for profile in plan.profiles.iter().filter(|p| self.profiles.contains(&p.name)) {
                for via in &self.connections {
                    for users in &self.users {
                        cases.push(self.case(app, profile, *via, *users));
                    }
                }
            }
        }
        for waterfall in &self.waterfalls {
            let Some(app) = self.apps.iter().position(|a| a.name == waterfall.app) else {
                continue;
            };
            for (at, step) in waterfall.steps.iter().enumerate() {
                let number = at as u32 + 1;
                cases.push(Case {
                    name: format!("{}-step-{number}-{}", waterfall.app, step.profile.name),
                    title: step.title.clone(),
                    app,
                    profile: step.profile.clone(),
                    via: step.via,
                    users: waterfall.users,
                    step: Some((waterfall.app.clone(), number)),
                    needs_prepared: step.needs_prepared,
                });
            }
        }
        cases
    }

    /// A case of the matrix proper.
    pub fn case(&self, app: usize, profile: &Profile, via: Via, users: u32) -> Case {
        let plan = &self.apps[app];
        let several = self.profiles.len() > 1;
        let settings = if several { format!("-{}", profile.name) } else { String::new() };
        Case {
            name: format!("{}{settings}-{}-{users}", plan.name, via.name()),
            title: format!("{}, {}, {users} users", plan.framework, via.name()),
            app,
            profile: profile.clone(),
            via,
            users,
            step: None,
            needs_prepared: false,
        }
    }
}
