use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::read::{load, matrix, postgres, rung, rung_checks, table};
use crate::sink::Sink;
use crate::{Experiment, Plan, Problems};

/// The largest file that is read.
const LARGEST_FILE: usize = 1 << 20;

pub(crate) static SECTION: Section = Section {
    name: "the top level",
    help: "What stands before the first table, and the tables.",
    keys: &[&NAME, &DESCRIPTION, &POSTGRES, &TABLE, &LOAD, &RUNG],
};

pub(crate) static NAME: Key = Key {
    name: "experiment",
    kind: Kind::Line { longest: 64 },
    default: Fallback::Required,
    help: "The experiment's name: lower-case letters, digits and dashes. Results carry it.",
};
pub(crate) static DESCRIPTION: Key = Key {
    name: "description",
    kind: Kind::Lines { longest: 2000 },
    default: Fallback::Value(r#""""#),
    help: "One or two sentences.",
};
pub(crate) static POSTGRES: Key = Key {
    name: "postgres",
    kind: Kind::Other("table `[postgres]`"),
    default: Fallback::Note("a server with PostgreSQL's own settings"),
    help: "The server.",
};
static TABLE: Key = Key {
    name: "table",
    kind: Kind::Other("table `[table]`"),
    default: Fallback::Required,
    help: "What is written.",
};
pub(crate) static LOAD: Key = Key {
    name: "load",
    kind: Kind::Other("table `[load]`"),
    default: Fallback::Note("the defaults of its keys"),
    help: "How long, how often and how fast.",
};
static RUNG: Key = Key {
    name: "rung",
    kind: Kind::Other("array of tables `[[rung]]`"),
    default: Fallback::Required,
    help: "The rungs of the ladder in their order, each written `[[rung]]`.",
};

/// Reads the file of a ladder and checks all of it.
///
/// `file_name` is how the user named the file; it appears in the problems.
///
/// # Errors
///
/// Every problem with its place, at once. A text that is not TOML gives its syntax errors only.
pub fn parse(file_name: &str, text: &str) -> Result<Experiment, Problems> {
    checked(file_name, text, read)
}

/// Reads an experiment file of any kind: one with `[matrix]` or `[[app]]` is a matrix.
pub fn read_plan(file_name: &str, text: &str) -> Result<Plan, Problems> {
    checked(file_name, text, |sink, tree, text| {
        if matrix::is_matrix(tree) {
            matrix::read(sink, tree, text).map(|m| Plan::Matrix(Box::new(m)))
        } else {
            read(sink, tree, text).map(|e| Plan::Ladder(Box::new(e)))
        }
    })
}

/// Reads a tree and reports what does not fit.
type Reader<T> = fn(&Sink, &DeTable<'_>, &str) -> Option<T>;

fn checked<T>(file_name: &str, text: &str, reader: Reader<T>) -> Result<T, Problems> {
    let sink = Sink::default();
    match read_text(&sink, text, reader) {
        Some(read) if sink.is_empty() => Ok(read),
        _ => {
            if sink.is_empty() {
                // Every reader that gives None has said why; this keeps the promise if one does not.
                sink.report(&(0..0), "the experiment cannot be read");
            }
            Err(sink.into_problems(file_name, text))
        }
    }
}

fn read_text<T>(sink: &Sink, text: &str, reader: Reader<T>) -> Option<T> {
    if text.len() > LARGEST_FILE {
        let message = format!("the file has {} bytes, more than 1 MiB", text.len());
        sink.report_with(
            &(0..0),
            message,
            "an experiment is a few kilobytes: is this the right file?",
        );
        return None;
    }
    // The parser's time grows with the square of their number.
    if let Some(at) = lone_carriage_return(text) {
        let help = "save the file with ordinary line ends";
        sink.report_with(&(at..at + 1), "a carriage return without a newline", help);
        return None;
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    syntax_errors(sink, &errors);
    let experiment = if errors.is_empty() { reader(sink, tree.get_ref(), text) } else { None };
    dismantle(tree.into_inner());
    experiment
}

/// Takes a tree apart level by level: the parser's limits allow some six thousand levels (80
/// inline tables, each with a key of 80 parts), and dropping them one inside the other needs more
/// than a megabyte of stack.
fn dismantle(tree: DeTable<'_>) {
    let mut left: Vec<_> = tree.into_iter().map(|(_, value)| value.into_inner()).collect();
    while let Some(value) = left.pop() {
        match value {
            DeValue::Table(table) => left.extend(table.into_iter().map(|(_, v)| v.into_inner())),
            DeValue::Array(array) => left.extend(array.into_iter().map(Spanned::into_inner)),
            _ => {}
        }
    }
}

fn lone_carriage_return(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|at| bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
}

/// One slip makes others in what follows: the first says it.
fn syntax_errors(sink: &Sink, errors: &[toml::de::Error]) {
    let errors = errors.iter().map(|e| (e.span().unwrap_or(0..0), e));
    if let Some((span, error)) = errors.min_by_key(|(span, _)| span.start) {
        sink.report(&span, format!("not valid TOML: {}", error.message()));
    }
}

fn read(sink: &Sink, tree: &DeTable<'_>, text: &str) -> Option<Experiment> {
    let fields = Fields::new(sink, tree, 0..0, &SECTION);
    let name = fields.text(&NAME).filter(|name| is_name(&fields, name));
    let description = fields.text(&DESCRIPTION);
    let postgres = match fields.get(&POSTGRES) {
        Some(found) => Fields::open(sink, found, &postgres::SECTION).map(|f| postgres::read(&f)),
        None => Some(crate::PostgresPlan::default()),
    };
    let table = fields.get(&TABLE).and_then(|v| Fields::open(sink, v, &table::SECTION));
    let table = table.and_then(|f| table::read(&f));
    let load = match fields.get(&LOAD) {
        Some(found) => Fields::open(sink, found, &load::SECTION).and_then(|f| load::read(&f)),
        None => load::read(&Fields::new(sink, &DeTable::new(), 0..0, &load::SECTION)),
    };
    let rungs = rung::read_all(&fields, &RUNG);
    rung_checks::connections(sink, &rungs, postgres.as_ref());
    rung_checks::statement_sizes(&rungs, table.as_ref());
    Some(Experiment {
        name: name?,
        description: description?,
        postgres: postgres?,
        table: table?,
        load: load?,
        rungs: rungs.into_iter().map(|(rung, _)| rung).collect(),
        source: text.to_owned(),
    })
}

/// `[a-z0-9][a-z0-9-]*`
pub(crate) fn is_name(fields: &Fields<'_, '_>, name: &str) -> bool {
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    if !fits {
        let message = format!("{} cannot be an experiment's name", crate::place::quote(name));
        fields.report_at(
            &NAME,
            message,
            "use lower-case letters, digits and dashes, such as `my-ladder`",
        );
    }
    fits
}
