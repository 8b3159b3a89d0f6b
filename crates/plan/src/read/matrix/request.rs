use toml::Spanned;

use crate::fields::{Fields, Value};
use crate::key::{Fallback, Key, Kind, Section};
use crate::place::quote;
use crate::read::matrix::pairs;
use crate::sink::Sink;
use crate::{CheckPlan, ParameterPlan, RequestPlan};

pub(crate) static SECTION: Section = Section {
    name: "[[request]]",
    help: "A request that users make; with several, each is drawn by its weight.",
    keys: &[&NAME, &WEIGHT, &METHOD, &PATH, &PARAMETERS, &HEADERS, &BODY, &CHECKS],
};
pub(crate) static PARAMETER: Section = Section {
    name: "a parameter of a request",
    help: "A whole number that is drawn for each request: `id = { min = 1, max = 50000 }`.",
    keys: &[&MIN, &MAX, &CHOICE, &EXPONENT],
};
pub(crate) static CHECK: Section = Section {
    name: "a check of a request",
    help: "What an answer must be; one kind in each: `{ status = 200 }`, `{ json = \"/id\" }`. \
           Without a check of the status, it must be below 400.",
    keys: &[&STATUS, &JSON, &EQUALS, &BODY_MIN, &BODY_MAX],
};

static NAME: Key = Key {
    name: "name",
    kind: Kind::Line { longest: 100 },
    default: Fallback::Note("its path"),
    help: "The name that its figures stand under.",
};
static WEIGHT: Key = Key {
    name: "weight",
    kind: Kind::Whole { min: 1, max: 1_000_000 },
    default: Fallback::Value("1"),
    help: "How often it is drawn, against the others.",
};
static METHOD: Key = Key {
    name: "method",
    kind: Kind::Word(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    default: Fallback::Value(r#""GET""#),
    help: "The method.",
};
static PATH: Key = Key {
    name: "path",
    kind: Kind::Line { longest: 8000 },
    default: Fallback::Required,
    help: "Path and query; `{id}` stands for the parameter `id`.",
};
static PARAMETERS: Key = Key {
    name: "parameters",
    kind: Kind::Other("table of parameters"),
    default: Fallback::Note("none"),
    help: "What is drawn for each request, by name.",
};
static HEADERS: Key = Key {
    name: "headers",
    kind: Kind::Other("table of strings"),
    default: Fallback::Note("none"),
    help: "Header fields; `{id}` in a value stands for the parameter `id`, and `{session}` for what \
           every session's token begins with when the dataset has accounts: user 7 is logged in with \
           the cookie `session={session}-7`.",
};
static BODY: Key = Key {
    name: "body",
    kind: Kind::Lines { longest: 1_000_000 },
    default: Fallback::Value(r#""""#),
    help: "The body.",
};
static CHECKS: Key = Key {
    name: "checks",
    kind: Kind::Other("array of checks"),
    default: Fallback::Note("the status is below 400"),
    help: "What an answer must be.",
};
static MIN: Key = Key {
    name: "min",
    kind: Kind::Whole { min: 0, max: i64::MAX as i128 },
    default: Fallback::Value("1"),
    help: "The least.",
};
static MAX: Key = Key {
    name: "max",
    kind: Kind::Whole { min: 0, max: i64::MAX as i128 },
    default: Fallback::Required,
    help: "The largest.",
};
static CHOICE: Key = Key {
    name: "choice",
    kind: Kind::Word(&["uniform", "zipf"]),
    default: Fallback::Value(r#""uniform""#),
    help: "Every one as often, or the first ones more often.",
};
static EXPONENT: Key = Key {
    name: "exponent",
    kind: Kind::Number { min: 0.01, max: 20.0 },
    default: Fallback::Value("1.0"),
    help: "How much more often, with `zipf`.",
};
static STATUS: Key = Key {
    name: "status",
    kind: Kind::Whole { min: 200, max: 599 },
    default: Fallback::Note("no such check"),
    help: "The status.",
};
static JSON: Key = Key {
    name: "json",
    kind: Kind::Line { longest: 1000 },
    default: Fallback::Note("no such check"),
    help: "A JSON pointer (RFC 6901) at which the body has something.",
};
static EQUALS: Key = Key {
    name: "equals",
    kind: Kind::Line { longest: 10_000 },
    default: Fallback::Note("anything"),
    help: "With `json`: the value there, as JSON; a text that is no JSON stands for itself.",
};
static BODY_MIN: Key = Key {
    name: "body_min",
    kind: Kind::Size { min: 0, max: 1 << 40 },
    default: Fallback::Note("no such check"),
    help: "The body's least size.",
};
static BODY_MAX: Key = Key {
    name: "body_max",
    kind: Kind::Size { min: 0, max: 1 << 40 },
    default: Fallback::Note("no such check"),
    help: "The body's largest size.",
};

pub(crate) fn read_all(top: &Fields<'_, '_>, key: &'static Key) -> Vec<RequestPlan> {
    let mut all: Vec<RequestPlan> = Vec::new();
    for found in top.array(key) {
        let Some(fields) = Fields::open(top.sink, found, &SECTION) else { continue };
        let Some(request) = read(&fields) else { continue };
        if all.iter().any(|r| r.name == request.name) {
            let message = format!("the request {} is there twice", quote(&request.name));
            fields.report_at(&NAME, message, "give each a name of its own");
        }
        all.push(request);
    }
    if all.is_empty() && top.sink.is_empty() {
        top.report_at(key, "there is no request", "write one as `[[request]]`");
    }
    all
}

fn read(fields: &Fields<'_, '_>) -> Option<RequestPlan> {
    let path = fields.text(&PATH);
    if let Some(path) = &path
        && !path.starts_with('/')
    {
        let message = format!("the path {} does not begin with /", quote(path));
        fields.report_at(&PATH, message, "it is the part behind the host");
    }
    let parameters = read_parameters(fields);
    let (weight, method) = (fields.whole(&WEIGHT), fields.word(&METHOD));
    let body = fields.text(&BODY);
    let checks = fields.array(&CHECKS).iter().filter_map(|v| read_check(fields.sink, v)).collect();
    let path = path?;
    let headers = pairs::read(fields, &HEADERS, pairs::is_field);
    check_slots(fields, &path, &headers, &parameters);
    Some(RequestPlan {
        name: fields.text(&NAME).unwrap_or_else(|| path.clone()),
        weight: weight?,
        method: method?.to_owned(),
        path,
        parameters,
        headers,
        body: body?,
        checks,
    })
}

fn read_parameters(fields: &Fields<'_, '_>) -> Vec<ParameterPlan> {
    let Some(found) = fields.get(&PARAMETERS) else { return Vec::new() };
    let Some(table) = found.get_ref().as_table() else {
        crate::value::refuse(fields.sink, &PARAMETERS, found);
        return Vec::new();
    };
    table.iter().filter_map(|(name, v)| read_parameter(fields.sink, name.get_ref(), v)).collect()
}

fn read_parameter(sink: &Sink, name: &str, found: &Value<'_>) -> Option<ParameterPlan> {
    let fields = Fields::open(sink, found, &PARAMETER)?;
    let (min, max) = (fields.whole::<u64>(&MIN), fields.whole::<u64>(&MAX));
    let zipf = fields.word(&CHOICE) == Some("zipf");
    let exponent = fields.number(&EXPONENT);
    let (min, max) = (min?, max?);
    if min > max {
        let message = format!("`min` {min} of {} is above its `max` {max}", quote(name));
        sink.report(&fields.place, message);
    }
    Some(ParameterPlan { name: name.to_owned(), min, max, zipf: exponent.filter(|_| zipf) })
}

/// Every slot has its parameter, and every parameter its slot.
fn check_slots(
    fields: &Fields<'_, '_>,
    path: &str,
    headers: &[(String, String)],
    parameters: &[ParameterPlan],
) {
    for parameter in parameters {
        let slot = format!("{{{}}}", parameter.name);
        if !path.contains(&slot) && headers.iter().all(|(_, value)| !value.contains(&slot)) {
            let message =
                format!("the parameter {} has no place in the path", quote(&parameter.name));
            let help = format!("write {{{}}} where it belongs, or leave it out", parameter.name);
            fields.report_at(&PARAMETERS, message, help);
        }
    }
    let slots = path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|s| s.0));
    for slot in slots.filter(|slot| parameters.iter().all(|p| p.name != *slot)) {
        let message = format!("the path has a place for {}, which is no parameter", quote(slot));
        let help = format!("add `parameters = {{ {slot} = {{ min = 1, max = 100 }} }}`");
        fields.report_at(&PATH, message, help);
    }
}

fn read_check(sink: &Sink, found: &Spanned<toml::de::DeValue<'_>>) -> Option<CheckPlan> {
    let fields = Fields::open(sink, found, &CHECK)?;
    let kinds = [&STATUS, &JSON, &BODY_MIN, &BODY_MAX].iter().filter(|k| fields.has(k)).count();
    if kinds != 1 {
        let help = "write `{ status = 200 }`, `{ json = \"/id\" }` or `{ body_min = \"1B\" }`";
        sink.report_with(&fields.place, format!("a check with {kinds} conditions"), help);
        return None;
    }
    if let Some(status) = fields.whole::<u16>(&STATUS) {
        return Some(CheckPlan::Status(status));
    }
    if let Some(pointer) = fields.text(&JSON) {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let message = format!("the JSON pointer {} does not begin with /", quote(&pointer));
            fields.report_at(&JSON, message, "such as `/post/id`");
            return None;
        }
        return Some(match fields.text(&EQUALS) {
            Some(value) => CheckPlan::JsonEquals(pointer, value),
            None => CheckPlan::JsonExists(pointer),
        });
    }
    if let Some(bytes) = fields.size(&BODY_MIN) {
        return Some(CheckPlan::BodyAtLeast(bytes));
    }
    fields.size(&BODY_MAX).map(CheckPlan::BodyAtMost)
}
