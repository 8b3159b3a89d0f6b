use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::key::{Fallback, Key, Kind, Section, any_of, nearest};
use crate::place::quote;
use crate::read::{SECTIONS, matrix};
use crate::sink::Sink;
use crate::value;

/// A value and its place in the text.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// The keys of one table in the file, read by name and type. Whatever does not fit goes to the
/// sink; a read then gives `None`, and the caller goes on to find the other problems.
pub(crate) struct Fields<'a, 'i> {
    pub(crate) sink: &'a Sink,
    /// The table's header, or the whole of an inline table.
    pub(crate) place: Range<usize>,
    table: &'a DeTable<'i>,
    section: &'static Section,
}

impl<'a, 'i> Fields<'a, 'i> {
    /// Opens a table and reports every key that its section does not have.
    pub(crate) fn new(
        sink: &'a Sink,
        table: &'a DeTable<'i>,
        place: Range<usize>,
        section: &'static Section,
    ) -> Self {
        for (name, _) in table.iter().filter(|(name, _)| section.key(name.get_ref()).is_none()) {
            let message = format!("unknown key {} in {}", quote(name.get_ref()), section.name);
            sink.report_with(&name.span(), message, unknown_key_help(name.get_ref(), section));
        }
        Self { sink, place, table, section }
    }

    /// The same for a value that should be a table.
    pub(crate) fn open(
        sink: &'a Sink,
        value: &'a Value<'i>,
        section: &'static Section,
    ) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            let message =
                format!("{} must be a table, not {}", section.name, value::describe(value));
            let help = match value.get_ref() {
                DeValue::Array(_) => "`[[…]]` makes an array: write single brackets",
                _ => "write its keys between braces, or under a header of its own",
            };
            sink.report_with(&value.span(), message, help);
            return None;
        };
        Some(Self::new(sink, table, value.span(), section))
    }

    pub(crate) fn has(&self, key: &Key) -> bool {
        self.table.contains_key(key.name)
    }

    /// The value as it stands in the file; a required key that is missing is reported.
    pub(crate) fn get(&self, key: &'static Key) -> Option<&'a Value<'i>> {
        let found = self.table.get(key.name);
        if found.is_none() && matches!(key.default, Fallback::Required) {
            let message = format!("missing key `{}` in {}", key.name, self.section.name);
            self.sink.report_with(&self.place, message, missing_key_help(key));
        }
        found
    }

    /// The place of a key's value, or of the table when it has none.
    pub(crate) fn place_of(&self, key: &Key) -> Range<usize> {
        self.table.get(key.name).map_or_else(|| self.place.clone(), Spanned::span)
    }

    pub(crate) fn report_at(&self, key: &Key, message: impl Into<String>, help: impl Into<String>) {
        self.sink.report_with(&self.place_of(key), message, help);
    }

    pub(crate) fn text(&self, key: &'static Key) -> Option<String> {
        self.read(key, |v| value::text(self.sink, key, v).map(str::to_owned))
    }

    pub(crate) fn flag(&self, key: &'static Key) -> Option<bool> {
        self.read(key, |v| value::flag(self.sink, key, v))
    }

    pub(crate) fn whole<T: TryFrom<i128>>(&self, key: &'static Key) -> Option<T> {
        self.read(key, |v| value::whole(self.sink, key, v)).and_then(|n| T::try_from(n).ok())
    }

    pub(crate) fn number(&self, key: &'static Key) -> Option<f64> {
        self.read(key, |v| value::number(self.sink, key, v))
    }

    pub(crate) fn span(&self, key: &'static Key) -> Option<Duration> {
        self.read(key, |v| value::span(self.sink, key, v))
    }

    pub(crate) fn size(&self, key: &'static Key) -> Option<u64> {
        self.read(key, |v| value::size(self.sink, key, v))
    }

    pub(crate) fn word(&self, key: &'static Key) -> Option<&'static str> {
        self.read(key, |v| value::word(self.sink, key, v))
    }

    /// An array's elements; none when the key is missing or is no array.
    pub(crate) fn array(&self, key: &'static Key) -> &'a [Value<'i>] {
        let Some(found) = self.get(key) else { return &[] };
        let Some(array) = found.get_ref().as_array() else {
            value::refuse(self.sink, key, found);
            return &[];
        };
        array
    }

    /// Reads the key, or its default as if it stood in the file.
    fn read<T>(
        &self,
        key: &'static Key,
        reader: impl FnOnce(&Value<'_>) -> Option<T>,
    ) -> Option<T> {
        match (self.get(key), &key.default) {
            (Some(found), _) => reader(found),
            (None, Fallback::Value(text)) => reader(&DeValue::parse(text).ok()?),
            (None, _) => None,
        }
    }
}

/// What an unknown key should have been: a key of this section, or the place that has such a key.
fn unknown_key_help(name: &str, section: &Section) -> String {
    let valid = section.keys.iter().map(|k| k.name);
    let of_matrix = matrix::SECTIONS.iter().any(|s| std::ptr::eq(*s, section));
    let family: &[&Section] = if of_matrix { &matrix::SECTIONS } else { &SECTIONS };
    if let Some(other) = family.iter().find(|s| s.key(name).is_some()) {
        return format!("`{name}` belongs in {}", other.name);
    }
    if let Some(meant) = nearest(name, valid.clone()) {
        return format!("did you mean `{meant}`?");
    }
    format!("the keys here are {}", any_of(valid).replace(" or ", " and "))
}

fn missing_key_help(key: &Key) -> String {
    let mut help = key.help.chars();
    let first: String = help.next().into_iter().flat_map(char::to_lowercase).collect();
    format!("add it ({}): {first}{}", key.kind.describe(), help.as_str())
}

impl Kind {
    /// The value's type and bounds in words.
    pub(crate) fn describe(&self) -> String {
        value::describe_kind(self)
    }
}
