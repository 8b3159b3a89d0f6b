use crate::fields::{Fields, Value};
use crate::key::{Fallback, Key, Kind, Section, any_of, nearest};
use crate::place::quote;
use crate::read::matrix::app;
use crate::{AppPlan, Step, Via, Waterfall};

pub(crate) static SECTION: Section = Section {
    name: "[[waterfall]]",
    help: "Settings of one application changed one at a time, at one number of users.",
    keys: &[&APP, &USERS, app::PROFILE_KEYS[0], app::PROFILE_KEYS[1], app::PROFILE_KEYS[2], &STEPS],
};
pub(crate) static STEP: Section = Section {
    name: "[[waterfall.step]]",
    help: "A step; `connections` bound those of a direct one.",
    keys: &[
        &NAME,
        &TITLE,
        &CONNECTION,
        &NEEDS_PREPARED,
        app::PROFILE_KEYS[3],
        app::PROFILE_KEYS[4],
        app::PROFILE_KEYS[5],
    ],
};

static APP: Key = Key {
    name: "app",
    kind: Kind::Line { longest: 40 },
    default: Fallback::Required,
    help: "The application.",
};
static USERS: Key = Key {
    name: "users",
    kind: Kind::Whole { min: 1, max: 100_000 },
    default: Fallback::Value("100"),
    help: "Virtual users.",
};
static STEPS: Key = Key {
    name: "step",
    kind: Kind::Other("array of tables `[[waterfall.step]]`"),
    default: Fallback::Required,
    help: "The steps in their order.",
};
static NAME: Key = Key {
    name: "name",
    kind: Kind::Line { longest: 40 },
    default: Fallback::Required,
    help: "The step's name: lower-case letters, digits and dashes.",
};
static TITLE: Key = Key {
    name: "title",
    kind: Kind::Line { longest: 100 },
    default: Fallback::Note("its name"),
    help: "What changes, in a few words.",
};
static CONNECTION: Key = Key {
    name: "connection",
    kind: Kind::Word(&["direct", "pgbouncer"]),
    default: Fallback::Value(r#""direct""#),
    help: "How it reaches the database.",
};
static NEEDS_PREPARED: Key = Key {
    name: "needs_prepared",
    kind: Kind::Flag,
    default: Fallback::Value("false"),
    help: "Whether PgBouncer must keep track of prepared statements (1.21 and newer); the step is \
           skipped, with that reason, where it cannot.",
};

pub(crate) fn read_all(
    top: &Fields<'_, '_>,
    key: &'static Key,
    apps: &[AppPlan],
) -> Vec<Waterfall> {
    let mut all: Vec<Waterfall> = Vec::new();
    for found in top.array(key) {
        let Some(fields) = Fields::open(top.sink, found, &SECTION) else { continue };
        let Some(waterfall) = read(&fields, apps) else { continue };
        if all.iter().any(|w| w.app == waterfall.app) {
            let message = format!("{} has two waterfalls", quote(&waterfall.app));
            fields.report_at(&APP, message, "an application has one");
        }
        all.push(waterfall);
    }
    all
}

fn read(fields: &Fields<'_, '_>, apps: &[AppPlan]) -> Option<Waterfall> {
    let app = fields.text(&APP);
    if let Some(name) = &app
        && !apps.is_empty()
        && apps.iter().all(|a| a.name != *name)
    {
        let known = apps.iter().map(|a| a.name.as_str());
        let help = match nearest(name, known.clone()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", any_of(known)),
        };
        fields.report_at(&APP, format!("there is no application {}", quote(name)), help);
    }
    let users = fields.whole(&USERS);
    let shape = app::shape(fields);
    let mut steps: Vec<Step> = Vec::new();
    for found in fields.array(&STEPS) {
        let Some(step) = read_step(fields, found, shape.as_ref()) else { continue };
        if steps.iter().any(|s| s.profile.name == step.profile.name) {
            let message = format!("the step {} is there twice", quote(&step.profile.name));
            fields.report_at(&STEPS, message, "give each a name of its own");
        }
        steps.push(step);
    }
    if steps.is_empty() && fields.sink.is_empty() {
        fields.report_at(&STEPS, "the waterfall has no step", "write each `[[waterfall.step]]`");
    }
    Some(Waterfall { app: app?, users: users?, steps })
}

fn read_step(
    fields: &Fields<'_, '_>,
    found: &Value<'_>,
    shape: Option<&app::Shape>,
) -> Option<Step> {
    let inner = Fields::open(fields.sink, found, &STEP)?;
    let name = inner.text(&NAME).filter(|name| {
        let fits =
            !name.is_empty() && name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
        if !fits {
            let message = format!("{} cannot be a step's name", quote(name));
            inner.report_at(&NAME, message, "use lower-case letters, digits and dashes");
        }
        fits
    });
    let title = inner.text(&TITLE);
    let (connection, needs_prepared) = (inner.word(&CONNECTION), inner.flag(&NEEDS_PREPARED));
    let profile = app::profile(&inner, name, shape?.clone())?;
    Some(Step {
        title: title.unwrap_or_else(|| profile.name.clone()),
        profile,
        via: Via::of(connection?)?,
        needs_prepared: needs_prepared?,
    })
}
