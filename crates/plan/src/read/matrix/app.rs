use std::time::Duration;

use crate::fields::{Fields, Value};
use crate::key::{Fallback, Key, Kind, Section};
use crate::place::quote;
use crate::read::matrix::pairs;
use crate::{AppPlan, Profile};

pub(crate) static SECTION: Section = Section {
    name: "[[app]]",
    help: "An application. pinchpoint starts it for each case and gives it `DATABASE_URL`, `HOST`, \
           `PORT` and `POSTS`; with `url` it is one that somebody else runs.",
    keys: &[
        &NAME,
        &FRAMEWORK,
        &LANGUAGE,
        &DRIVER,
        &DIRECTORY,
        &REQUIREMENTS,
        &COMMAND,
        &HEALTH,
        &READY,
        &CPUS,
        &MEMORY,
        &ENV,
        &METRICS,
        &URL,
        &POOLED_URL,
        &PROFILES,
    ],
};
pub(crate) static PROFILE: Section = Section {
    name: "[[app.profile]]",
    help: "Settings of an application under a name.",
    keys: &[
        &NAME,
        &OTHER_COMMAND,
        &PROCESSES,
        &THREADS,
        &CONNECTIONS,
        &POOL,
        &ENV,
        &DIRECT,
        &PGBOUNCER,
        &BESIDE,
        &COLD,
        &INDEXES,
    ],
};

static NAME: Key = Key {
    name: "name",
    kind: Kind::Line { longest: 40 },
    default: Fallback::Required,
    help: "Its name: lower-case letters, digits and dashes.",
};
static FRAMEWORK: Key = Key {
    name: "framework",
    kind: Kind::Line { longest: 60 },
    default: Fallback::Note("its name"),
    help: "The framework, as tables show it; a Python package of this name gives its version.",
};
static LANGUAGE: Key = Key {
    name: "language",
    kind: Kind::Line { longest: 40 },
    default: Fallback::Value(r#""""#),
    help: "The language, for tables and `--only`.",
};
static DRIVER: Key = Key {
    name: "driver",
    kind: Kind::Line { longest: 100 },
    default: Fallback::Value(r#""""#),
    help: "What speaks to the database; Python packages of these names give their versions.",
};
static DIRECTORY: Key = Key {
    name: "directory",
    kind: Kind::Line { longest: 1000 },
    default: Fallback::Note("none"),
    help: "Where it is started: an application that ships inside, or a path from this file.",
};
static REQUIREMENTS: Key = Key {
    name: "requirements",
    kind: Kind::Line { longest: 1000 },
    default: Fallback::Note("no Python packages"),
    help: "Its pinned Python packages, a file in the directory. A virtual environment is made of it \
           once, and kept.",
};
static COMMAND: Key = Key {
    name: "command",
    kind: Kind::Other("array of strings"),
    default: Fallback::Note("required without `url`"),
    help: "Program and arguments; `{host}`, `{port}` and `{venv}` are filled in. A program without \
           a path is looked for beside pinchpoint and in PATH.",
};
static HEALTH: Key = Key {
    name: "health",
    kind: Kind::Line { longest: 1000 },
    default: Fallback::Value(r#""/healthz""#),
    help: "The path that answers 200 when it is ready.",
};
static READY: Key = Key {
    name: "ready_within",
    kind: Kind::Span { min: Duration::from_millis(100), max: Duration::from_secs(600) },
    default: Fallback::Value(r#""30s""#),
    help: "How long it may take to be ready.",
};
static CPUS: Key = Key {
    name: "cpus",
    kind: Kind::Number { min: 0.01, max: 4096.0 },
    default: Fallback::Note("no limit"),
    help: "CPUs that it may use.",
};
static MEMORY: Key = Key {
    name: "memory",
    kind: Kind::Size { min: 16 << 20, max: 64 << 40 },
    default: Fallback::Note("no limit"),
    help: "Memory that it may use.",
};
static ENV: Key = Key {
    name: "env",
    kind: Kind::Other("table of strings, whole numbers and booleans"),
    default: Fallback::Note("nothing more"),
    help: "Environment.",
};
static METRICS: Key = Key {
    name: "metrics",
    kind: Kind::Line { longest: 1000 },
    default: Fallback::Note("none are read"),
    help: "The path of its metrics in Prometheus's text format, read before and after the measured \
           part: what its cache did, and connections that it accepted.",
};
static BESIDE: Key = Key {
    name: "beside",
    kind: Kind::Other("table of strings, whole numbers and booleans"),
    default: Fallback::Note("none"),
    help: "Environment of a second process of the application. It is started first; `{beside}` in \
           the environment of the first stands for its URL.",
};
static COLD: Key = Key {
    name: "cold",
    kind: Kind::Flag,
    default: Fallback::Value("false"),
    help: "Measured from the first request on, without a warm-up.",
};
static INDEXES: Key = Key {
    name: "indexes",
    kind: Kind::Flag,
    default: Fallback::Note("the dataset's"),
    help: "Whether the indexes are there that the blog can do without.",
};
static URL: Key = Key {
    name: "url",
    kind: Kind::Line { longest: 1000 },
    default: Fallback::Note("pinchpoint starts it"),
    help: "Where it answers, when somebody else runs it with connections of its own.",
};
static POOLED_URL: Key = Key {
    name: "pooled_url",
    kind: Kind::Line { longest: 1000 },
    default: Fallback::Note("pinchpoint starts it"),
    help: "The same behind a pooler.",
};
static PROFILES: Key = Key {
    name: "profile",
    kind: Kind::Other("array of tables `[[app.profile]]`"),
    default: Fallback::Note("one, called `default`"),
    help: "Its settings, each set written `[[app.profile]]`.",
};
static OTHER_COMMAND: Key = Key {
    name: "command",
    kind: Kind::Other("array of strings"),
    default: Fallback::Note("the application's"),
    help: "Takes the place of the application's command.",
};
static PROCESSES: Key = Key {
    name: "processes",
    kind: Kind::Whole { min: 1, max: 10_000 },
    default: Fallback::Value("1"),
    help: "Processes that serve requests, for tables.",
};
static THREADS: Key = Key {
    name: "threads",
    kind: Kind::Whole { min: 1, max: 100_000 },
    default: Fallback::Value("1"),
    help: "Threads of each process, for tables.",
};
static CONNECTIONS: Key = Key {
    name: "connections",
    kind: Kind::Whole { min: 1, max: 1_000_000 },
    default: Fallback::Note("nothing bounds them"),
    help: "Most database connections of all processes. More than that on the server void the row.",
};
static POOL: Key = Key {
    name: "pool",
    kind: Kind::Line { longest: 100 },
    default: Fallback::Value(r#""""#),
    help: "Its pools in words, for tables.",
};
static DIRECT: Key = Key {
    name: "direct",
    kind: Kind::Other("table of strings, whole numbers and booleans"),
    default: Fallback::Note("nothing more"),
    help: "More environment when its connections are the server's.",
};
static PGBOUNCER: Key = Key {
    name: "pgbouncer",
    kind: Kind::Other("table of strings, whole numbers and booleans"),
    default: Fallback::Note("nothing more"),
    help: "More environment behind PgBouncer.",
};

pub(crate) fn read_all(top: &Fields<'_, '_>, key: &'static Key) -> Vec<AppPlan> {
    let mut all: Vec<AppPlan> = Vec::new();
    for found in top.array(key) {
        let Some(fields) = Fields::open(top.sink, found, &SECTION) else { continue };
        let Some(app) = read(&fields) else { continue };
        if all.iter().any(|a| a.name == app.name) {
            let message = format!("the application {} is there twice", quote(&app.name));
            fields.report_at(&NAME, message, "give each a name of its own");
        }
        all.push(app);
    }
    if all.is_empty() && top.sink.is_empty() {
        top.report_at(key, "there is no application", "write one as `[[app]]`");
    }
    all
}

fn read(fields: &Fields<'_, '_>) -> Option<AppPlan> {
    let name = fields.text(&NAME).filter(|name| is_name(fields, name));
    let command = pairs::texts(fields, &COMMAND);
    let (url, pooled_url) = (fields.text(&URL), fields.text(&POOLED_URL));
    if command.is_empty() && url.is_none() && pooled_url.is_none() {
        let help = "add `command = [\"my-app\"]`, or `url` when somebody else runs it";
        fields.report_at(&COMMAND, "the application has neither a command nor a URL", help);
    }
    if fields.has(&REQUIREMENTS) && !fields.has(&DIRECTORY) {
        let help = "say in which `directory` the file is";
        fields.report_at(&REQUIREMENTS, "`requirements` without a `directory`", help);
    }
    let profiles = read_profiles(fields);
    let (language, driver) = (fields.text(&LANGUAGE), fields.text(&DRIVER));
    let (health, ready_within) = (fields.text(&HEALTH), fields.span(&READY));
    let framework = fields.text(&FRAMEWORK);
    let name = name?;
    Some(AppPlan {
        framework: framework.unwrap_or_else(|| name.clone()),
        name,
        language: language?,
        driver: driver?,
        directory: fields.text(&DIRECTORY),
        requirements: fields.text(&REQUIREMENTS),
        command,
        health: health?,
        ready_within: ready_within?,
        cpus: fields.number(&CPUS),
        memory_bytes: fields.size(&MEMORY),
        env: pairs::read(fields, &ENV, pairs::is_variable),
        metrics: fields.text(&METRICS),
        url,
        pooled_url,
        profiles,
    })
}

fn is_name(fields: &Fields<'_, '_>, name: &str) -> bool {
    let fits =
        !name.is_empty() && name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'));
    if !fits {
        let message = format!("{} cannot be a name here", quote(name));
        fields.report_at(&NAME, message, "use lower-case letters, digits and dashes");
    }
    fits
}

fn read_profiles(fields: &Fields<'_, '_>) -> Vec<Profile> {
    let mut profiles: Vec<Profile> = Vec::new();
    for found in fields.array(&PROFILES) {
        let Some(profile) = read_profile(fields, found) else { continue };
        if profiles.iter().any(|p| p.name == profile.name) {
            let message = format!("the profile {} is there twice", quote(&profile.name));
            fields.report_at(&PROFILES, message, "give each a name of its own");
        }
        profiles.push(profile);
    }
    if profiles.is_empty() && !fields.has(&PROFILES) {
        let name = "default".to_owned();
        profiles.push(Profile { name, processes: 1, threads: 1, ..Profile::default() });
    }
    profiles
}

fn read_profile(fields: &Fields<'_, '_>, found: &Value<'_>) -> Option<Profile> {
    let inner = Fields::open(fields.sink, found, &PROFILE)?;
    let name = inner.text(&NAME).filter(|name| is_name(&inner, name));
    let shape = shape(&inner);
    let mut profile = profile(&inner, name, shape?)?;
    profile.beside = pairs::read(&inner, &BESIDE, pairs::is_variable);
    profile.cold = inner.flag(&COLD)?;
    profile.indexes = if inner.has(&INDEXES) { inner.flag(&INDEXES) } else { None };
    Some(profile)
}

/// How an application is started, and with how many processes and threads.
#[derive(Clone)]
pub(crate) struct Shape {
    command: Option<Vec<String>>,
    processes: u32,
    threads: u32,
}

pub(crate) fn shape(fields: &Fields<'_, '_>) -> Option<Shape> {
    let command = pairs::texts(fields, &OTHER_COMMAND);
    let (processes, threads) = (fields.whole(&PROCESSES), fields.whole(&THREADS));
    let command = (!command.is_empty()).then_some(command);
    Some(Shape { command, processes: processes?, threads: threads? })
}

/// The settings that profiles and the steps of waterfalls have in common.
pub(crate) fn profile(
    fields: &Fields<'_, '_>,
    name: Option<String>,
    shape: Shape,
) -> Option<Profile> {
    let pool = fields.text(&POOL);
    let more = |key: &'static Key| pairs::read(fields, key, pairs::is_variable);
    Some(Profile {
        name: name?,
        command: shape.command,
        processes: shape.processes,
        threads: shape.threads,
        connections: fields.whole(&CONNECTIONS),
        pool: pool?,
        env: more(&ENV),
        direct: more(&DIRECT),
        pgbouncer: more(&PGBOUNCER),
        ..Profile::default()
    })
}

/// The keys of [`shape`] and of [`profile`], for a section that has more.
pub(crate) const PROFILE_KEYS: [&Key; 6] =
    [&OTHER_COMMAND, &PROCESSES, &THREADS, &CONNECTIONS, &POOL, &ENV];
