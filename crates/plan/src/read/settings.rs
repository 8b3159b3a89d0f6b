use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::DeValue;

use crate::fields::Value;
use crate::place::quote;
use crate::sink::Sink;
use crate::value;

/// The longest value of a setting, in bytes.
const LONGEST_VALUE: usize = 10_000;
/// Dots in the name of an extension's setting are tables in TOML; deeper ones are no setting.
const DEEPEST: usize = 4;

const LISTENS: &str = "pinchpoint decides where the server listens; \
                       see `port` and `transport` in [postgres]";
const FILES: &str = "the server's files are in a private directory of pinchpoint's";
const LOGS: &str = "pinchpoint reads the server's log from its standard error";
const RIGHTS: &str = "pinchpoint decides how the load logs in";
const RUNGS: &str = "it is what rungs differ in: set it in a [[rung]]";
const INCLUDES: &str = "write the settings here instead: the result shows what it was run with";

/// Settings that an experiment must not touch, and why.
const OURS: &[(&str, &str)] = &[
    ("port", LISTENS),
    ("listen_addresses", LISTENS),
    ("unix_socket_directories", LISTENS),
    ("unix_socket_group", LISTENS),
    ("unix_socket_permissions", LISTENS),
    ("data_directory", FILES),
    ("config_file", FILES),
    ("hba_file", FILES),
    ("ident_file", FILES),
    ("external_pid_file", FILES),
    ("password_encryption", RIGHTS),
    ("log_destination", LOGS),
    ("logging_collector", LOGS),
    ("log_directory", LOGS),
    ("log_filename", LOGS),
    ("synchronous_commit", RUNGS),
    ("include", INCLUDES),
    ("include_dir", INCLUDES),
    ("include_if_exists", INCLUDES),
];

struct Found {
    name: String,
    value: String,
    place: Range<usize>,
}

/// The settings in the file's order.
pub(crate) fn read(sink: &Sink, value: &Value<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(sink, "", value, &mut found, 0);
    found.sort_by_key(|f| f.place.start);
    let mut seen = BTreeSet::new();
    for Found { name, value, place } in &found {
        if !seen.insert(name) {
            sink.report(place, format!("setting {} is there twice", quote(name)));
        }
        check(sink, name, value, place);
    }
    found.into_iter().map(|f| (f.name, f.value)).collect()
}

/// Goes down into the tables that TOML makes of dotted names.
fn collect(sink: &Sink, prefix: &str, value: &Value<'_>, found: &mut Vec<Found>, depth: usize) {
    let DeValue::Table(table) = value.get_ref() else {
        if depth == 0 {
            let message =
                format!("[postgres.settings] must be a table, not {}", value::describe(value));
            sink.report(&value.span(), message);
        } else if let Some(text) = scalar(sink, prefix, value) {
            found.push(Found { name: prefix.to_owned(), value: text, place: value.span() });
        }
        return;
    };
    for (key, value) in table {
        if depth == DEEPEST {
            let message = format!("no setting has a name as deep as {}", quote(prefix));
            return sink.report(&key.span(), message);
        }
        let name = match prefix {
            "" => key.get_ref().to_string(),
            _ => format!("{prefix}.{}", key.get_ref()),
        };
        if is_name(&name) {
            collect(sink, &name, value, found, depth + 1);
        } else {
            let message = format!("{} cannot be the name of a setting", quote(&name));
            let help = "names are lower-case letters, digits, underscores and dots, such as \
                        `shared_buffers`";
            sink.report_with(&key.span(), message, help);
        }
    }
}

/// `[a-z_][a-z0-9_.]*`
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.'))
}

/// The value as the server reads it.
fn scalar(sink: &Sink, name: &str, value: &Value<'_>) -> Option<String> {
    let text = match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(flag) => Some(if *flag { "on" } else { "off" }.to_owned()),
        DeValue::Integer(number) => {
            value::integer(number).filter(|n| i64::try_from(*n).is_ok()).map(|n| n.to_string())
        }
        DeValue::Float(number) => {
            let finite = number.as_str().parse::<f64>().is_ok_and(f64::is_finite);
            finite.then(|| number.as_str().to_owned())
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    };
    if text.is_none() {
        let message = format!("setting {} cannot be {}", quote(name), value::describe(value));
        sink.report_with(&value.span(), message, "it is a string, a finite number or a boolean");
    }
    text
}

fn check(sink: &Sink, name: &str, value: &str, place: &Range<usize>) {
    if let Some((_, reason)) = OURS.iter().find(|(ours, _)| *ours == name) {
        sink.report_with(place, format!("setting `{name}` is not for an experiment"), *reason);
        return;
    }
    if let Some(c) = value.chars().find(|c| c.is_control()) {
        sink.report(place, format!("the value of setting {} has {c:?} in it", quote(name)));
    } else if value.len() > LONGEST_VALUE {
        let message = format!("the value of setting {} is over {LONGEST_VALUE} bytes", quote(name));
        sink.report(place, message);
    }
    if name == "max_connections"
        && !value.trim().parse::<u32>().is_ok_and(|n| (1..=262_143).contains(&n))
    {
        let message = format!("setting `max_connections` cannot be {}", quote(value));
        sink.report_with(place, message, "it is a whole number, 1 to 262143");
    }
}
