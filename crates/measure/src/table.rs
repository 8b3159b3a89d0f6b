use std::fmt;

/// The table that a write ladder fills, and how its rows are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name, unquoted.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Column names of the primary key; empty for none.
    pub primary_key: Vec<String>,
}

/// A column and its generator.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its type in `PostgreSQL`.
    pub sql_type: SqlType,
    /// How its values are made.
    pub generator: Generator,
}

/// The column types that rows can be generated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    /// `uuid`
    Uuid,
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `numeric(precision, scale)`
    Numeric {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `double precision`
    Double,
    /// `text`
    Text,
    /// `timestamptz`
    TimestampTz,
}

impl SqlType {
    /// The type's name without its modifiers, as a cast and an array's element need it.
    pub const fn base_name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Numeric { .. } => "numeric",
            Self::Double => "double precision",
            Self::Text => "text",
            Self::TimestampTz => "timestamptz",
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
            other => f.write_str(other.base_name()),
        }
    }
}

/// How a column's values are made. Checked by the plan: ranges are not empty and fit the type.
#[derive(Debug, Clone, PartialEq)]
pub enum Generator {
    /// A random (version 4) UUID.
    Uuid,
    /// A whole number from `min` to `max`, both included.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// How the value is drawn.
        choice: Choice,
    },
    /// A decimal: `min` to `max` in units of the last digit, both included (`100` with scale 2 is 1.00).
    Decimal {
        /// Smallest value, in units of the last digit.
        min: i64,
        /// Largest value, in units of the last digit.
        max: i64,
        /// Digits after the point.
        scale: u8,
    },
    /// One of these texts, each as likely as the next.
    OneOf(Vec<String>),
    /// Random letters and digits, `min` to `max` characters long, both included.
    Text {
        /// Shortest length.
        min: u32,
        /// Longest length.
        max: u32,
    },
    /// The time at which the row is generated.
    Now,
}

/// How a whole number is drawn from its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// Each as likely as the next.
    Uniform,
    /// Zipf's law: the k-th smallest value with a probability proportional to `1 / k^exponent`.
    Zipf {
        /// Above 0; 1 is the classic law.
        exponent: f64,
    },
}

/// How a batch of rows is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// One prepared `INSERT` for each row, each its own transaction.
    Insert,
    /// One prepared `INSERT` for each row, pipelined, one transaction for the batch: what
    /// asyncpg's `executemany` does.
    ExecuteMany,
    /// One `INSERT … SELECT FROM unnest(…)` for the batch, a column an array.
    Unnest,
    /// One `COPY … FROM STDIN (FORMAT binary)` for the batch.
    Copy,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Insert, Self::ExecuteMany, Self::Unnest, Self::Copy];

    /// The name used in experiment files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::ExecuteMany => "executemany",
            Self::Unnest => "unnest",
            Self::Copy => "copy",
        }
    }

    /// The method of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}
