use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use crate::duration::{parse_duration, show_duration};
use crate::fields::Value;
use crate::key::{Key, Kind, any_of, nearest};
use crate::place::{is_unprintable, quote};
use crate::sink::Sink;
use crate::size::{parse_size, show_size};

/// A value as a message shows it: `the string "x"`, `10`, `a table`.
pub(crate) fn describe(value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(s) => format!("the string {}", quote(s)),
        DeValue::Integer(n) => format!("the whole number {}", quote(&n.to_string())),
        DeValue::Float(n) => format!("the number {}", quote(n.as_str())),
        DeValue::Boolean(b) => format!("`{b}`"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A kind in words, with its bounds: `whole number, 1 to 1,000`.
pub(crate) fn describe_kind(kind: &Kind) -> String {
    match kind {
        Kind::Line { longest } | Kind::Lines { longest } => {
            format!("string of at most {longest} characters")
        }
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Whole { min, max } => format!("whole number, {min} to {max}"),
        Kind::Number { min, max } => format!("number, {min} to {max}"),
        Kind::Span { min, max } => {
            format!(
                "duration such as `\"10s\"`, {} to {}",
                show_duration(*min),
                show_duration(*max)
            )
        }
        Kind::Size { min, max } => {
            format!("size such as `\"512MB\"`, {} to {}", show_size(*min), show_size(*max))
        }
        Kind::Word(words) => any_of(words.iter().copied()),
        Kind::Other(text) => (*text).to_owned(),
    }
}

/// Says that this is no value for the key, and what is.
pub(crate) fn refuse(sink: &Sink, key: &Key, value: &Value<'_>) {
    let message = format!("`{}` cannot be {}", key.name, describe(value));
    sink.report_with(&value.span(), message, format!("expected {}", describe_kind(&key.kind)));
}

/// A string that can be shown on a terminal, within its length.
pub(crate) fn text<'v>(sink: &Sink, key: &Key, value: &'v Value<'_>) -> Option<&'v str> {
    let Some(text) = value.get_ref().as_str() else {
        refuse(sink, key, value);
        return None;
    };
    let (longest, may_have) = match key.kind {
        Kind::Line { longest } => (longest, ""),
        Kind::Lines { longest } => (longest, "\r\n\t"),
        _ => return Some(text),
    };
    if let Some(c) = text.chars().find(|c| is_unprintable(*c) && !may_have.contains(*c)) {
        let message = format!("`{}` has the character {c:?} in it", key.name);
        sink.report_with(&value.span(), message, "it is shown on terminals: leave it out");
        return None;
    }
    let length = text.chars().count();
    if length > longest {
        let message = format!("`{}` has {length} characters", key.name);
        sink.report_with(&value.span(), message, format!("at most {longest}"));
        return None;
    }
    Some(text)
}

pub(crate) fn flag(sink: &Sink, key: &Key, value: &Value<'_>) -> Option<bool> {
    let flag = value.get_ref().as_bool();
    if flag.is_none() {
        refuse(sink, key, value);
    }
    flag
}

pub(crate) fn integer(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(crate) fn whole(sink: &Sink, key: &Key, value: &Value<'_>) -> Option<i128> {
    let Kind::Whole { min, max } = key.kind else { return None };
    let DeValue::Integer(found) = value.get_ref() else {
        refuse(sink, key, value);
        return None;
    };
    let whole = integer(found).filter(|n| (min..=max).contains(n));
    if whole.is_none() {
        refuse(sink, key, value);
    }
    whole
}

pub(crate) fn number(sink: &Sink, key: &Key, value: &Value<'_>) -> Option<f64> {
    let Kind::Number { min, max } = key.kind else { return None };
    let number = match value.get_ref() {
        DeValue::Integer(n) => integer(n).map(|n| n as f64),
        DeValue::Float(n) => n.as_str().parse::<f64>().ok(),
        _ => {
            refuse(sink, key, value);
            return None;
        }
    };
    // NaN is in no range.
    let number = number.filter(|n| (min..=max).contains(n));
    if number.is_none() {
        refuse(sink, key, value);
    }
    number
}

pub(crate) fn span(sink: &Sink, key: &Key, value: &Value<'_>) -> Option<Duration> {
    let Kind::Span { min, max } = key.kind else { return None };
    let Some(text) = value.get_ref().as_str() else {
        refuse(sink, key, value);
        return None;
    };
    match parse_duration(text) {
        Ok(span) if (min..=max).contains(&span) => Some(span),
        Ok(_) => {
            refuse(sink, key, value);
            None
        }
        Err(error) => {
            sink.report(&value.span(), format!("bad `{}`: {error}", key.name));
            None
        }
    }
}

pub(crate) fn size(sink: &Sink, key: &Key, value: &Value<'_>) -> Option<u64> {
    let Kind::Size { min, max } = key.kind else { return None };
    let Some(text) = value.get_ref().as_str() else {
        refuse(sink, key, value);
        return None;
    };
    match parse_size(text) {
        Ok(size) if (min..=max).contains(&size) => Some(size),
        Ok(_) => {
            refuse(sink, key, value);
            None
        }
        Err(error) => {
            sink.report(&value.span(), format!("bad `{}`: {error}", key.name));
            None
        }
    }
}

pub(crate) fn word(sink: &Sink, key: &Key, value: &Value<'_>) -> Option<&'static str> {
    let Kind::Word(words) = key.kind else { return None };
    let Some(text) = value.get_ref().as_str() else {
        refuse(sink, key, value);
        return None;
    };
    let word = words.iter().find(|w| **w == text).copied();
    if word.is_none() {
        let message = format!("`{}` cannot be {}", key.name, quote(text));
        let help = match nearest(text, words.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it is {}", any_of(words.iter().copied())),
        };
        sink.report_with(&value.span(), message, help);
    }
    word
}
