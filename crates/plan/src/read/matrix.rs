//! A matrix: applications, ways to the database, numbers of users.

mod app;
mod dataset;
mod http;
mod levels;
mod pairs;
mod pgbouncer;
mod redis;
mod request;
mod run;
mod waterfall;

use toml::de::DeTable;

use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::read::experiment::{DESCRIPTION, LOAD, NAME, POSTGRES, is_name};
use crate::read::{load, postgres};
use crate::sink::Sink;
use crate::{Matrix, Pace};

pub(crate) static SECTION: Section = Section {
    name: "the top level of a matrix",
    help: "What stands before the first table, and the tables, of an experiment with applications.",
    keys: &[
        &NAME,
        &DESCRIPTION,
        &POSTGRES,
        &PGBOUNCER,
        &REDIS,
        &DATASET,
        &HTTP,
        &REQUEST,
        &LOAD,
        &MATRIX,
        &APP,
        &WATERFALL,
        &THRESHOLDS,
        &RUN,
    ],
};

/// The sections that only a matrix has, in the order of the reference page.
pub(crate) static SECTIONS: [&Section; 14] = [
    &SECTION,
    &pgbouncer::SECTION,
    &redis::SECTION,
    &dataset::SECTION,
    &http::SECTION,
    &request::SECTION,
    &request::PARAMETER,
    &request::CHECK,
    &levels::SECTION,
    &app::SECTION,
    &app::PROFILE,
    &waterfall::SECTION,
    &waterfall::STEP,
    &run::SECTION,
];

static PGBOUNCER: Key = Key {
    name: "pgbouncer",
    kind: Kind::Other("table `[pgbouncer]`"),
    default: Fallback::Note("PgBouncer's own settings"),
    help: "The pooler.",
};
static REDIS: Key = Key {
    name: "redis",
    kind: Kind::Other("table `[redis]`"),
    default: Fallback::Note("none is started"),
    help: "A Redis for the applications, which find it by `REDIS_URL`.",
};
static DATASET: Key = Key {
    name: "dataset",
    kind: Kind::Other("table `[dataset]`"),
    default: Fallback::Note("the defaults of its keys"),
    help: "What the applications read.",
};
static HTTP: Key = Key {
    name: "http",
    kind: Kind::Other("table `[http]`"),
    default: Fallback::Note("the defaults of its keys"),
    help: "How the users behave.",
};
static REQUEST: Key = Key {
    name: "request",
    kind: Kind::Other("array of tables `[[request]]`"),
    default: Fallback::Required,
    help: "What the users ask for, each written `[[request]]`.",
};
static MATRIX: Key = Key {
    name: "matrix",
    kind: Kind::Other("table `[matrix]`"),
    default: Fallback::Required,
    help: "The levels that are combined.",
};
static APP: Key = Key {
    name: "app",
    kind: Kind::Other("array of tables `[[app]]`"),
    default: Fallback::Required,
    help: "The applications, each written `[[app]]`.",
};
static WATERFALL: Key = Key {
    name: "waterfall",
    kind: Kind::Other("array of tables `[[waterfall]]`"),
    default: Fallback::Note("none"),
    help: "Settings changed one at a time, each written `[[waterfall]]`.",
};
static THRESHOLDS: Key = Key {
    name: "thresholds",
    kind: Kind::Other("table `[thresholds]` of arrays of expressions"),
    default: Fallback::Note("none"),
    help: "Limits that every case must keep, by k6's metric: `http_req_duration = [\"p(95)<200\"]`. \
           A missed one ends the run with exit code 99.",
};

static RUN: Key = Key {
    name: "run",
    kind: Kind::Other("array of tables `[[run]]`"),
    default: Fallback::Note("none"),
    help: "Ways to run it under a name, each written `[[run]]`.",
};

/// Whether a tree is that of a matrix.
pub(crate) fn is_matrix(tree: &DeTable<'_>) -> bool {
    tree.contains_key("matrix") || tree.contains_key("app")
}

pub(crate) fn read(sink: &Sink, tree: &DeTable<'_>, text: &str) -> Option<Matrix> {
    let none = DeTable::new();
    let fields = Fields::new(sink, tree, 0..0, &SECTION);
    let open = |key: &'static Key, section: &'static Section| match fields.get(key) {
        Some(found) => Fields::open(sink, found, section),
        None => None,
    };
    let name = fields.text(&NAME).filter(|name| is_name(&fields, name));
    let description = fields.text(&DESCRIPTION);
    let postgres = match fields.get(&POSTGRES) {
        Some(_) => open(&POSTGRES, &postgres::SECTION).map(|f| postgres::read(&f)),
        None => Some(crate::PostgresPlan::default()),
    };
    let pgbouncer = open(&PGBOUNCER, &pgbouncer::SECTION).map(|f| pgbouncer::read(&f));
    let redis = open(&REDIS, &redis::SECTION).map(|f| redis::read(&f));
    let dataset = match fields.get(&DATASET) {
        Some(_) => open(&DATASET, &dataset::SECTION).and_then(|f| dataset::read(&f)),
        None => dataset::read(&Fields::new(sink, &none, 0..0, &dataset::SECTION)),
    };
    let requests = request::read_all(&fields, &REQUEST);
    let http = match fields.get(&HTTP) {
        Some(_) => open(&HTTP, &http::SECTION).and_then(|f| http::read(&f, requests)),
        None => http::read(&Fields::new(sink, &none, 0..0, &http::SECTION), requests),
    };
    let load = match fields.get(&LOAD) {
        Some(_) => open(&LOAD, &load::SECTION).and_then(|f| load::read(&f)),
        None => load::read(&Fields::new(sink, &none, 0..0, &load::SECTION)),
    };
    if let (Some(load), Some(http)) = (&load, &http)
        && load.pace != Pace::FlatOut
        && !http.think.is_zero()
    {
        let help = "users that follow a schedule do not think: leave one of them out";
        fields.report_at(&HTTP, "`think` with a schedule in [load]", help);
    }
    let apps = app::read_all(&fields, &APP);
    let levels = open(&MATRIX, &levels::SECTION).and_then(|f| levels::read(&f, &apps));
    let waterfalls = waterfall::read_all(&fields, &WATERFALL, &apps);
    let thresholds = fields.get(&THRESHOLDS).map(|v| pairs::thresholds(sink, v));
    let runs = run::read_all(&fields, &RUN);
    let levels = levels?;
    Some(Matrix {
        name: name?,
        description: description?,
        postgres: postgres?,
        pgbouncer: pgbouncer.unwrap_or_default(),
        redis,
        dataset: dataset?,
        load: load?,
        http: http?,
        apps,
        profiles: levels.profiles,
        connections: levels.connections,
        users: levels.users,
        waterfalls,
        thresholds: thresholds.unwrap_or_default(),
        runs,
        source: text.to_owned(),
    })
}
