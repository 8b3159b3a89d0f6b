use pinchpoint_measure::{Choice, Generator, SqlType};

use super::KIND;
use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::read::decimal::{Decimal, Inexact};
use crate::value;

pub(crate) static INTEGER: Section = Section {
    name: "an `integer` generator",
    help: "A whole number, for `smallint`, `integer` and `bigint`.",
    keys: &[&KIND, &INTEGER_MIN, &INTEGER_MAX, &CHOICE, &EXPONENT],
};
pub(crate) static DECIMAL: Section = Section {
    name: "a `decimal` generator",
    help: "A decimal, each as likely as the next, for `numeric(p,s)` and `double precision`.",
    keys: &[&KIND, &DECIMAL_MIN, &DECIMAL_MAX],
};

static INTEGER_MIN: Key = Key {
    name: "min",
    kind: Kind::Whole { min: i64::MIN as i128, max: i64::MAX as i128 },
    default: Fallback::Required,
    help: "Smallest value; it must fit the column's type.",
};
static INTEGER_MAX: Key = Key {
    name: "max",
    kind: Kind::Whole { min: i64::MIN as i128, max: i64::MAX as i128 },
    default: Fallback::Required,
    help: "Largest value; it must fit the column's type.",
};
static CHOICE: Key = Key {
    name: "choice",
    kind: Kind::Word(&["uniform", "zipf"]),
    default: Fallback::Value(r#""uniform""#),
    help: "How a value is drawn: each as likely as the next, or by Zipf's law, `min` most often.",
};
static EXPONENT: Key = Key {
    name: "exponent",
    kind: Kind::Number { min: 0.01, max: 10.0 },
    default: Fallback::Value("1.0"),
    help: "Of Zipf's law: the k-th smallest value is drawn in proportion to 1 / k^exponent.",
};
static DECIMAL_MIN: Key = Key {
    name: "min",
    kind: Kind::Other("number"),
    default: Fallback::Required,
    help: "Smallest value, with no more digits after the point than the column has.",
};
static DECIMAL_MAX: Key = Key {
    name: "max",
    kind: Kind::Other("number"),
    default: Fallback::Required,
    help: "Largest value. For `double precision`, values have as many digits after the point as \
           `min` or `max` is written with, at most 15.",
};

/// Decimal digits that `double precision` keeps.
const MOST_DIGITS_OF_DOUBLE: u8 = 15;

pub(super) fn read_integer(
    fields: &Fields<'_, '_>,
    sql_type: Option<SqlType>,
) -> Option<Generator> {
    let (min, max) = (fields.whole::<i64>(&INTEGER_MIN), fields.whole::<i64>(&INTEGER_MAX));
    let exponent = fields.number(&EXPONENT);
    let choice = match fields.word(&CHOICE)? {
        "zipf" => Choice::Zipf { exponent: exponent? },
        _ => Choice::Uniform,
    };
    if choice == Choice::Uniform && fields.has(&EXPONENT) {
        let help = "add `choice = \"zipf\"`, or leave it out";
        fields.report_at(&EXPONENT, "`exponent` is Zipf's, and the choice is uniform", help);
    }
    let (lowest, highest) = match sql_type {
        Some(SqlType::SmallInt) => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Some(SqlType::Integer) => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    for (key, bound) in [(&INTEGER_MIN, min), (&INTEGER_MAX, max)] {
        if let (Some(bound), Some(sql_type)) = (bound, sql_type)
            && !(lowest..=highest).contains(&bound)
        {
            let message = format!("`{}` does not fit `{sql_type}`", key.name);
            fields.report_at(key, message, format!("it holds {lowest} to {highest}"));
        }
    }
    let (min, max) = (min?, max?);
    if min > max {
        report_empty(fields, &INTEGER_MAX);
    }
    Some(Generator::Integer { min, max, choice })
}

pub(super) fn report_empty(fields: &Fields<'_, '_>, max: &Key) {
    fields.report_at(max, "`max` is below `min`", "both are included; exchange them");
}

pub(super) fn read_decimal(
    fields: &Fields<'_, '_>,
    sql_type: Option<SqlType>,
) -> Option<Generator> {
    let (min, max) = (decimal(fields, &DECIMAL_MIN), decimal(fields, &DECIMAL_MAX));
    let scale = match sql_type? {
        SqlType::Numeric { scale, .. } => scale,
        _ => min?.scale().max(max?.scale()),
    };
    if scale > MOST_DIGITS_OF_DOUBLE && sql_type == Some(SqlType::Double) {
        let help = "write at most 15 digits after the point";
        fields.report_at(&DECIMAL_MIN, "too many digits after the point", help);
        return None;
    }
    let units = |key, decimal| in_units(fields, key, decimal, scale, sql_type?);
    let (min, max) = (units(&DECIMAL_MIN, min?), units(&DECIMAL_MAX, max?));
    let (min, max) = (min?, max?);
    if min > max {
        report_empty(fields, &DECIMAL_MAX);
    }
    Some(Generator::Decimal { min, max, scale })
}

fn decimal(fields: &Fields<'_, '_>, key: &'static Key) -> Option<Decimal> {
    let found = fields.get(key)?;
    match Decimal::read(found) {
        Ok(decimal) => return Some(decimal),
        Err(Inexact::OutOfReach) => {
            let message = format!("`{}` is too large, or has too many digits", key.name);
            fields.report_at(key, message, "values have at most 18 digits");
        }
        Err(Inexact::NoNumber) if matches!(found.get_ref(), toml::de::DeValue::Float(_)) => {
            let message = format!("`{}` cannot be {}", key.name, value::describe(found));
            fields.report_at(key, message, "it is a finite number");
        }
        Err(Inexact::NoNumber) => value::refuse(fields.sink, key, found),
    }
    None
}

/// The bound in units of the last digit, when the column can hold it.
fn in_units(
    fields: &Fields<'_, '_>,
    key: &Key,
    decimal: Decimal,
    scale: u8,
    sql_type: SqlType,
) -> Option<i64> {
    let Some(units) = decimal.units(scale).and_then(|u| i64::try_from(u).ok()) else {
        let message = format!("`{}` does not fit `{sql_type}`", key.name);
        let help = if decimal.scale() > scale {
            format!("it keeps {scale} digits after the point: round the number")
        } else {
            "values have at most 18 digits, those after the point included".to_owned()
        };
        fields.report_at(key, message, help);
        return None;
    };
    if let SqlType::Numeric { precision, scale } = sql_type
        && 10i128.checked_pow(u32::from(precision)).is_some_and(|l| i128::from(units).abs() >= l)
    {
        let message = format!("`{}` does not fit `{sql_type}`", key.name);
        let whole = precision - scale;
        fields.report_at(key, message, format!("it has {whole} digits before the point"));
        return None;
    }
    Some(units)
}
