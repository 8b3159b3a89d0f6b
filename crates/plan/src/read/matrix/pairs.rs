//! Tables of names and texts: environments, headers, settings, thresholds.

use std::ops::Range;

use pinchpoint_measure::Threshold;
use toml::de::DeValue;

use crate::fields::{Fields, Value};
use crate::key::{Key, any_of, nearest};
use crate::place::{is_unprintable, quote};
use crate::sink::Sink;
use crate::value;

/// The longest value, in bytes.
const LONGEST: usize = 10_000;
/// Metrics that thresholds may be set on.
const METRICS: [&str; 4] = ["http_req_duration", "http_req_failed", "http_reqs", "checks"];

/// The texts of a table, in the file's order. Numbers and booleans are written as they stand.
pub(crate) fn read(
    fields: &Fields<'_, '_>,
    key: &'static Key,
    is_name: fn(&str) -> bool,
) -> Vec<(String, String)> {
    placed(fields, key, is_name).into_iter().map(|(pair, _)| pair).collect()
}

/// A name, a text, and where the name stands.
pub(crate) type Placed = ((String, String), Range<usize>);

/// The same with the place of each name.
pub(crate) fn placed(
    fields: &Fields<'_, '_>,
    key: &'static Key,
    is_name: fn(&str) -> bool,
) -> Vec<Placed> {
    let Some(found) = fields.get(key) else { return Vec::new() };
    let DeValue::Table(table) = found.get_ref() else {
        value::refuse(fields.sink, key, found);
        return Vec::new();
    };
    let mut pairs: Vec<_> = table
        .iter()
        .filter_map(|(name, v)| {
            if !is_name(name.get_ref()) {
                let message =
                    format!("{} cannot be a name in `{}`", quote(name.get_ref()), key.name);
                fields.sink.report(&name.span(), message);
                return None;
            }
            let text = scalar(fields.sink, name.get_ref(), v)?;
            Some(((name.get_ref().to_string(), text), name.span()))
        })
        .collect();
    pairs.sort_by_key(|(_, place)| place.start);
    pairs
}

/// A text, a whole number or a boolean, as text.
fn scalar(sink: &Sink, name: &str, found: &Value<'_>) -> Option<String> {
    let text = match found.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => value::integer(number).map(|n| n.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    };
    let fits = text.filter(|t| t.len() <= LONGEST && !t.chars().any(is_unprintable));
    if fits.is_none() {
        let message = format!("{} cannot be {}", quote(name), value::describe(found));
        let help = "it is a string on one line, a whole number or a boolean";
        sink.report_with(&found.span(), message, help);
    }
    fits
}

/// `A-Z`, digits and underscores, as environments have them.
pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A token, as header fields have it.
pub(crate) fn is_field(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// The texts of an array.
pub(crate) fn texts(fields: &Fields<'_, '_>, key: &'static Key) -> Vec<String> {
    let mut texts = Vec::new();
    for found in fields.array(key) {
        match found.get_ref().as_str() {
            Some(text) if text.len() <= LONGEST && !text.chars().any(is_unprintable) => {
                texts.push(text.to_owned());
            }
            _ => {
                let message = format!("`{}` cannot hold {}", key.name, value::describe(found));
                fields.sink.report_with(&found.span(), message, "it holds strings on one line");
            }
        }
    }
    texts
}

/// `metric: expression`, for each.
pub(crate) fn thresholds(sink: &Sink, found: &Value<'_>) -> Vec<String> {
    let Some(table) = found.get_ref().as_table() else {
        let message = format!("[thresholds] must be a table, not {}", value::describe(found));
        sink.report(&found.span(), message);
        return Vec::new();
    };
    let mut all = Vec::new();
    // The parser sorts by name; the file's order is the user's.
    let mut metrics: Vec<_> = table.iter().collect();
    metrics.sort_by_key(|(metric, _)| metric.span().start);
    for (metric, expressions) in metrics {
        let name = metric.get_ref();
        if !METRICS.contains(&name.as_ref()) {
            let help = match nearest(name, METRICS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it is {}", any_of(METRICS)),
            };
            sink.report_with(&metric.span(), format!("unknown metric {}", quote(name)), help);
            continue;
        }
        let one = std::slice::from_ref(expressions);
        let list = expressions.get_ref().as_array().map_or(one, |list| &list[..]);
        for expression in list {
            match expression.get_ref().as_str() {
                Some(text) => {
                    let whole = format!("{name}: {text}");
                    match whole.parse::<Threshold>() {
                        Ok(_) => all.push(whole),
                        Err(error) => sink.report(&expression.span(), error.to_string()),
                    }
                }
                None => {
                    let message = format!("a threshold cannot be {}", value::describe(expression));
                    sink.report_with(&expression.span(), message, "such as `\"p(95)<200\"`");
                }
            }
        }
    }
    all
}
