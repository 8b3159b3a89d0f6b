use pinchpoint_measure::Generator;

use super::{KIND, number};
use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::value;

pub(crate) static ONE_OF: Section = Section {
    name: "a `one_of` generator",
    help: "One of some texts, for `text`.",
    keys: &[&KIND, &VALUES],
};
pub(crate) static TEXT: Section = Section {
    name: "a `text` generator",
    help: "Random letters and digits, for `text`.",
    keys: &[&KIND, &MIN, &MAX],
};

static VALUES: Key = Key {
    name: "values",
    kind: Kind::Other("array of strings"),
    default: Fallback::Required,
    help: "The texts, 1 to 1000, each as likely as the next; one that is there twice comes twice \
           as often.",
};
static MIN: Key = Key {
    name: "min",
    kind: Kind::Whole { min: 1, max: 10_000 },
    default: Fallback::Required,
    help: "Shortest length in characters.",
};
static MAX: Key = Key {
    name: "max",
    kind: Kind::Whole { min: 1, max: 10_000 },
    default: Fallback::Required,
    help: "Longest length in characters.",
};

const MOST_VALUES: usize = 1000;
/// In bytes.
const LONGEST_VALUE: usize = 10_000;

pub(super) fn read_one_of(fields: &Fields<'_, '_>) -> Option<Generator> {
    let found = fields.array(&VALUES);
    if fields.has(&VALUES) && !(1..=MOST_VALUES).contains(&found.len()) {
        let message = format!("`values` has {} texts", found.len());
        fields.report_at(&VALUES, message, "it needs 1 to 1000");
        return None;
    }
    let mut values = Vec::with_capacity(found.len());
    for value in found {
        let Some(text) = value.get_ref().as_str() else {
            let message = format!("`values` cannot have {} in it", value::describe(value));
            fields.sink.report_with(&value.span(), message, "write each as a string");
            continue;
        };
        if text.contains('\0') {
            fields.sink.report(&value.span(), "PostgreSQL's `text` cannot hold a NUL character");
        } else if text.len() > LONGEST_VALUE {
            let message = format!("a text of {} bytes is too long", text.len());
            fields.sink.report_with(&value.span(), message, "at most 10,000");
        }
        values.push(text.to_owned());
    }
    Some(Generator::OneOf(values))
}

pub(super) fn read_text(fields: &Fields<'_, '_>) -> Option<Generator> {
    let (min, max) = (fields.whole(&MIN), fields.whole(&MAX));
    let (min, max) = (min?, max?);
    if min > max {
        number::report_empty(fields, &MAX);
    }
    Some(Generator::Text { min, max })
}
