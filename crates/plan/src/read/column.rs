use pinchpoint_measure::{Column, Generator, SqlType};

use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section, any_of, nearest};
use crate::place::quote;
use crate::read::{generator, table};
use crate::value;

pub(crate) static SECTION: Section = Section {
    name: "[[table.columns]]",
    help: "A column of the table. Columns are `NOT NULL`.",
    keys: &[&NAME, &TYPE, &GENERATOR],
};

pub(crate) static NAME: Key = Key {
    name: "name",
    kind: Kind::Other("string of 1 to 63 bytes"),
    default: Fallback::Required,
    help: "The column's name.",
};
static TYPE: Key = Key {
    name: "type",
    kind: Kind::Other(
        "`uuid`, `smallint`, `integer`, `bigint`, `numeric(p,s)`, `double precision`, `text` or \
         `timestamptz`",
    ),
    default: Fallback::Required,
    help: "The column's type in PostgreSQL. `numeric` has 1 to 100 digits, at most 18 of them after \
           the point.",
};
static GENERATOR: Key = Key {
    name: "generator",
    kind: Kind::Other("table such as `{ kind = \"uuid\" }`"),
    default: Fallback::Required,
    help: "How the column's values are made. What else it has depends on its kind.",
};

/// Type names without modifiers; the first of each type is its own, the others are those that
/// `PostgreSQL` takes as well.
const TYPES: [(&str, SqlType); 15] = [
    ("uuid", SqlType::Uuid),
    ("smallint", SqlType::SmallInt),
    ("int2", SqlType::SmallInt),
    ("integer", SqlType::Integer),
    ("int", SqlType::Integer),
    ("int4", SqlType::Integer),
    ("bigint", SqlType::BigInt),
    ("int8", SqlType::BigInt),
    ("double precision", SqlType::Double),
    ("double", SqlType::Double),
    ("float8", SqlType::Double),
    ("text", SqlType::Text),
    ("timestamptz", SqlType::TimestampTz),
    ("timestamp with time zone", SqlType::TimestampTz),
    ("numeric(12,2)", SqlType::Numeric { precision: 12, scale: 2 }),
];

/// The column; what could not be read is reported and has a stand-in.
pub(crate) fn read(fields: &Fields<'_, '_>) -> Column {
    let name = table::read_name(fields, &NAME).unwrap_or_default();
    let sql_type = read_type(fields);
    let generator = fields.get(&GENERATOR).and_then(|v| generator::read(fields.sink, v, sql_type));
    Column {
        name,
        sql_type: sql_type.unwrap_or(SqlType::Uuid),
        generator: generator.unwrap_or(Generator::Uuid),
    }
}

fn read_type(fields: &Fields<'_, '_>) -> Option<SqlType> {
    let found = fields.get(&TYPE)?;
    let text = value::text(fields.sink, &TYPE, found)?;
    let sql_type = parse_type(text);
    if sql_type.is_none() {
        let help = match text.trim().to_lowercase() {
            t if t.starts_with("numeric") || t.starts_with("decimal") => {
                "write `numeric(precision,scale)`, such as `numeric(12,2)`: 1 to 100 digits in \
                 all, at most 18 of them after the point"
                    .to_owned()
            }
            t => match nearest(&t, TYPES.iter().map(|(name, _)| *name)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("rows can be made for {}", any_of(SHOWN_TYPES)),
            },
        };
        fields.report_at(&TYPE, format!("`type` cannot be {}", quote(text)), help);
    }
    sql_type
}

const SHOWN_TYPES: [&str; 8] = [
    "uuid",
    "smallint",
    "integer",
    "bigint",
    "numeric(p,s)",
    "double precision",
    "text",
    "timestamptz",
];

fn parse_type(text: &str) -> Option<SqlType> {
    let text = text.trim().to_ascii_lowercase();
    if let Some((_, sql_type)) = TYPES.iter().find(|(name, _)| *name == text) {
        return Some(*sql_type);
    }
    let modifiers = text.strip_prefix("numeric").or_else(|| text.strip_prefix("decimal"))?;
    let modifiers = modifiers.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (precision, scale) = modifiers.split_once(',').unwrap_or((modifiers, "0"));
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: u8 = scale.trim().parse().ok()?;
    let fits = (1..=100).contains(&precision) && scale <= precision.min(18);
    fits.then_some(SqlType::Numeric { precision, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_as_postgres_writes_them() {
        for (text, shown) in [
            ("UUID", "uuid"),
            ("int", "integer"),
            ("numeric(12,2)", "numeric(12,2)"),
            ("Decimal ( 5 )", "numeric(5,0)"),
            ("double", "double precision"),
            ("timestamp with time zone", "timestamptz"),
        ] {
            assert_eq!(parse_type(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "numeric",
            "numeric()",
            "numeric(0)",
            "numeric(2,3)",
            "numeric(40,19)",
            "numeric(-1,2)",
            "numeric(999,2)",
            "numeric(5,2",
            "varchar(5)",
            "numeric(5,2,1)",
        ] {
            assert_eq!(parse_type(text), None, "{text}");
        }
    }
}
