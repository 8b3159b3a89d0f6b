use std::collections::BTreeSet;

use pinchpoint_measure::{Column, Table};

use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section, any_of, nearest};
use crate::place::quote;
use crate::read::column;
use crate::value;

/// The most columns that a table of `PostgreSQL` has (`MaxHeapAttributeNumber`).
const MOST_COLUMNS: usize = 1600;
/// The longest name, in bytes (`NAMEDATALEN` - 1).
const LONGEST_NAME: usize = 63;
/// Columns that every table has already.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
/// The most columns of an index (`INDEX_MAX_KEYS`).
const MOST_KEY_COLUMNS: usize = 32;

pub(crate) static SECTION: Section = Section {
    name: "[table]",
    help: "The table that is made for the run, filled and dropped.",
    keys: &[&NAME, &PRIMARY_KEY, &COLUMNS],
};

static NAME: Key = Key {
    name: "name",
    kind: Kind::Other("string of 1 to 63 bytes"),
    default: Fallback::Required,
    help: "The table's name.",
};
static PRIMARY_KEY: Key = Key {
    name: "primary_key",
    kind: Kind::Other("array of column names"),
    default: Fallback::Note("none"),
    help: "Columns of the primary key. Their generators should not repeat themselves: a row whose \
           key is there already is an error.",
};
static COLUMNS: Key = Key {
    name: "columns",
    kind: Kind::Other("array of tables `[[table.columns]]`"),
    default: Fallback::Required,
    help: "The columns in their order, 1 to 1600, each written `[[table.columns]]`.",
};

pub(crate) fn read(fields: &Fields<'_, '_>) -> Option<Table> {
    let name = read_name(fields, &NAME);
    let columns = read_columns(fields);
    let primary_key = read_primary_key(fields, &columns);
    Some(Table { name: name?, columns, primary_key })
}

/// A name that `PostgreSQL` takes once it is quoted.
pub(crate) fn read_name(fields: &Fields<'_, '_>, key: &'static Key) -> Option<String> {
    let found = fields.get(key)?;
    let text = value::text(fields.sink, key, found)?;
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains('\0') {
        let message = format!("`{}` cannot be {}", key.name, quote(text));
        fields.report_at(key, message, "PostgreSQL takes names of 1 to 63 bytes, without NUL");
        return None;
    }
    Some(text.to_owned())
}

fn read_columns(fields: &Fields<'_, '_>) -> Vec<Column> {
    let found = fields.array(&COLUMNS);
    if found.len() > MOST_COLUMNS {
        let message = format!("`columns` has {} columns", found.len());
        fields.report_at(&COLUMNS, message, "a table of PostgreSQL has at most 1600");
        return Vec::new();
    }
    if found.is_empty() && fields.has(&COLUMNS) {
        let help = "write each as `[[table.columns]]`";
        fields.report_at(&COLUMNS, "`columns` needs at least one column", help);
    }
    let mut columns = Vec::with_capacity(found.len());
    let mut names = BTreeSet::new();
    for value in found {
        let Some(inner) = Fields::open(fields.sink, value, &column::SECTION) else { continue };
        let column = column::read(&inner);
        if !column.name.is_empty() && !names.insert(column.name.clone()) {
            let message = format!("column {} is there twice", quote(&column.name));
            inner.report_at(&column::NAME, message, "give one of them another name");
        }
        if SYSTEM_COLUMNS.contains(&column.name.as_str()) {
            let message = format!("column {} is one that every table has", quote(&column.name));
            inner.report_at(&column::NAME, message, "give it another name");
        }
        columns.push(column);
    }
    columns
}

fn read_primary_key(fields: &Fields<'_, '_>, columns: &[Column]) -> Vec<String> {
    let mut key: Vec<String> = Vec::new();
    for value in fields.array(&PRIMARY_KEY) {
        let names = || columns.iter().map(|c| c.name.as_str()).filter(|n| !n.is_empty());
        let Some(name) = value.get_ref().as_str() else {
            let message = format!("`primary_key` cannot have {} in it", value::describe(value));
            fields.sink.report_with(&value.span(), message, "it is an array of column names");
            continue;
        };
        if key.iter().any(|n| n == name) {
            let message = format!("`primary_key` has {} twice", quote(name));
            fields.sink.report(&value.span(), message);
        } else if !names().any(|n| n == name) {
            let help = match nearest(name, names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if columns.len() > 20 => "name one of the columns".to_owned(),
                None => format!("the columns are {}", any_of(names()).replace(" or ", " and ")),
            };
            let message = format!("`primary_key` has {}, which is no column", quote(name));
            fields.sink.report_with(&value.span(), message, help);
        }
        key.push(name.to_owned());
    }
    if key.len() > MOST_KEY_COLUMNS {
        let message = format!("`primary_key` has {} columns", key.len());
        fields.report_at(&PRIMARY_KEY, message, "PostgreSQL takes at most 32");
    }
    key
}
