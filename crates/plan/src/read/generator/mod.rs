mod number;
mod text;

use pinchpoint_measure::{Generator, SqlType};

use crate::fields::{Fields, Value};
use crate::key::{Fallback, Key, Kind, Section, any_of};
use crate::sink::Sink;
use crate::value;

pub(crate) use number::{DECIMAL, INTEGER};
pub(crate) use text::{ONE_OF, TEXT};

pub(crate) static UUID: Section = Section {
    name: "a `uuid` generator",
    help: "A random (version 4) UUID, for `uuid`.",
    keys: &[&KIND],
};
pub(crate) static NOW: Section = Section {
    name: "a `now` generator",
    help: "The time at which the row is made, for `timestamptz`.",
    keys: &[&KIND],
};

static KIND: Key = Key {
    name: "kind",
    kind: Kind::Word(&["uuid", "integer", "decimal", "one_of", "text", "now"]),
    default: Fallback::Required,
    help: "How values are made.",
};

/// The generator. It is checked against the column's type when that could be read.
pub(crate) fn read(sink: &Sink, found: &Value<'_>, sql_type: Option<SqlType>) -> Option<Generator> {
    let kind = read_kind(sink, found)?;
    let section = match kind {
        "uuid" => &UUID,
        "integer" => &INTEGER,
        "decimal" => &DECIMAL,
        "one_of" => &ONE_OF,
        "text" => &TEXT,
        _ => &NOW,
    };
    let fields = Fields::open(sink, found, section)?;
    if let Some(sql_type) = sql_type
        && !kinds_for(sql_type).contains(&kind)
    {
        let message = format!("a generator of kind `{kind}` does not make values of `{sql_type}`");
        let kinds = any_of(kinds_for(sql_type).iter().copied());
        fields.report_at(&KIND, message, format!("for `{sql_type}` the kind is {kinds}"));
        return None;
    }
    match kind {
        "uuid" => Some(Generator::Uuid),
        "integer" => number::read_integer(&fields, sql_type),
        "decimal" => number::read_decimal(&fields, sql_type),
        "one_of" => text::read_one_of(&fields),
        "text" => text::read_text(&fields),
        _ => Some(Generator::Now),
    }
}

/// The kind, before it is known which keys belong to it.
fn read_kind(sink: &Sink, found: &Value<'_>) -> Option<&'static str> {
    let example = "write a table, such as `{ kind = \"uuid\" }`";
    let Some(table) = found.get_ref().as_table() else {
        let message = format!("`generator` cannot be {}", value::describe(found));
        sink.report_with(&found.span(), message, example);
        return None;
    };
    let Some(kind) = table.get(KIND.name) else {
        sink.report_with(&found.span(), "missing key `kind` in `generator`", example);
        return None;
    };
    value::word(sink, &KIND, kind)
}

fn kinds_for(sql_type: SqlType) -> &'static [&'static str] {
    match sql_type {
        SqlType::Uuid => &["uuid"],
        SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => &["integer"],
        SqlType::Numeric { .. } | SqlType::Double => &["decimal"],
        SqlType::Text => &["one_of", "text"],
        SqlType::TimestampTz => &["now"],
    }
}
