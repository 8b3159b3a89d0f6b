use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section, any_of, nearest};
use crate::place::quote;
use crate::read::matrix::pairs;
use crate::{AppPlan, Via, value};

pub(crate) static SECTION: Section = Section {
    name: "[matrix]",
    help: "The levels: every application runs with every profile, connection and number of users.",
    keys: &[&CONNECTIONS, &USERS, &PROFILES],
};

static CONNECTIONS: Key = Key {
    name: "connections",
    kind: Kind::Other("array of `direct` and `pgbouncer`"),
    default: Fallback::Required,
    help: "Ways to the database.",
};
static USERS: Key = Key {
    name: "users",
    kind: Kind::Other("array of whole numbers, 1 to 100000"),
    default: Fallback::Required,
    help: "Numbers of virtual users, ascending.",
};
static PROFILES: Key = Key {
    name: "profiles",
    kind: Kind::Other("array of profiles' names"),
    default: Fallback::Note("the first profile of the first application"),
    help: "The profiles to run; every application has them.",
};
static COUNT: Key = Key {
    name: "users",
    kind: Kind::Whole { min: 1, max: 100_000 },
    default: Fallback::Required,
    help: "",
};

/// The most levels of a factor.
const MOST: usize = 100;

pub(crate) struct Levels {
    pub(crate) connections: Vec<Via>,
    pub(crate) users: Vec<u32>,
    pub(crate) profiles: Vec<String>,
}

pub(crate) fn read(fields: &Fields<'_, '_>, apps: &[AppPlan]) -> Option<Levels> {
    let connections = read_connections(fields);
    let users = read_users(fields);
    let profiles = read_profiles(fields, apps);
    (!connections.is_empty() && !users.is_empty()).then_some(Levels {
        connections,
        users,
        profiles,
    })
}

fn read_connections(fields: &Fields<'_, '_>) -> Vec<Via> {
    let mut all = Vec::new();
    for text in pairs::texts(fields, &CONNECTIONS) {
        let Some(via) = Via::of(&text) else {
            let help = match nearest(&text, ["direct", "pgbouncer"]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it is {}", any_of(["direct", "pgbouncer"])),
            };
            let message = format!("there is no connection {}", quote(&text));
            fields.report_at(&CONNECTIONS, message, help);
            continue;
        };
        if all.contains(&via) {
            fields.report_at(
                &CONNECTIONS,
                format!("{} is there twice", quote(&text)),
                "once will do",
            );
        } else {
            all.push(via);
        }
    }
    if all.is_empty() && fields.has(&CONNECTIONS) && fields.sink.is_empty() {
        fields.report_at(&CONNECTIONS, "no connection is named", "such as `[\"direct\"]`");
    }
    all
}

fn read_users(fields: &Fields<'_, '_>) -> Vec<u32> {
    let found = fields.array(&USERS);
    let all: Vec<u32> = found
        .iter()
        .take(MOST)
        .filter_map(|v| value::whole(fields.sink, &COUNT, v))
        .filter_map(|n| u32::try_from(n).ok())
        .collect();
    if fields.has(&USERS) && found.is_empty() {
        fields.report_at(&USERS, "no number of users is named", "such as `[10, 100]`");
    }
    if all.windows(2).any(|pair| pair[0] >= pair[1]) {
        fields.report_at(&USERS, "`users` does not ascend", "write each number once, in order");
    }
    all
}

fn read_profiles(fields: &Fields<'_, '_>, apps: &[AppPlan]) -> Vec<String> {
    if !fields.has(&PROFILES) {
        let first = apps.first().and_then(|a| a.profiles.first());
        return first.map(|p| vec![p.name.clone()]).unwrap_or_default();
    }
    let names = pairs::texts(fields, &PROFILES);
    for name in &names {
        for app in apps.iter().filter(|a| a.profiles.iter().all(|p| p.name != *name)) {
            let known = app.profiles.iter().map(|p| p.name.as_str());
            let help = match nearest(name, known.clone()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has {}", any_of(known)),
            };
            let message = format!("{} has no profile {}", app.name, quote(name));
            fields.report_at(&PROFILES, message, help);
        }
    }
    if names.is_empty() && fields.sink.is_empty() {
        fields.report_at(&PROFILES, "no profile is named", "leave the key out for the first one");
    }
    names
}
