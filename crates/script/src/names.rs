/// The variables of a program: each name has one slot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    all: Vec<String>,
}

/// More variables than this are no script that a person wrote.
const MOST: usize = 10_000;

impl Names {
    /// The slot of a name, a new one when it has none; `None` when there are too many.
    pub(crate) fn slot(&mut self, name: &str) -> Option<usize> {
        if let Some(slot) = self.find(name) {
            return Some(slot);
        }
        if self.all.len() >= MOST {
            return None;
        }
        self.all.push(name.to_owned());
        Some(self.all.len() - 1)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|known| known == name)
    }

    pub(crate) fn name(&self, slot: usize) -> &str {
        self.all.get(slot).map_or("?", String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// Whether a character may begin a variable's name, and whether it may go on.
pub(crate) const fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

pub(crate) const fn in_name(c: char) -> bool {
    begins_name(c) || c.is_ascii_digit()
}

/// Whether a text is a variable's name.
pub(crate) fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(begins_name) && text.chars().all(in_name)
}
