use std::ops::Range;

use crate::decode::Lookup;

/// The kinds of operation that a load tells apart: each request three times, by what its answer
/// says of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    first: usize,
}

impl Kinds {
    /// Kinds for each request.
    const EACH: usize = 3;

    /// How many a load of so many requests has: its labels.
    pub const fn count(requests: usize) -> usize {
        requests * Self::EACH
    }

    /// Those of the request at this place of the specification.
    pub const fn of(request: usize) -> Self {
        Self { first: request * Self::EACH }
    }

    /// All of them.
    pub const fn all(self) -> Range<usize> {
        self.first..self.first + Self::EACH
    }

    /// Right answers of which the server said, by the field `X-Cache`, that a cache had them.
    pub const fn hits(self) -> Range<usize> {
        self.first + 1..self.first + 2
    }

    /// The same, that none had them.
    pub const fn misses(self) -> Range<usize> {
        self.first + 2..self.first + 3
    }

    /// The label of an operation, for [`pinchpoint_load::Probe::set_label`].
    pub(crate) fn label(self, lookup: Option<Lookup>) -> u16 {
        let kind = match lookup {
            None => self.first,
            Some(Lookup::Hit) => self.hits().start,
            Some(Lookup::Miss) => self.misses().start,
        };
        u16::try_from(kind).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_lies_in_the_range_that_is_read() {
        let kinds = Kinds::of(4);
        let label = |lookup| usize::from(kinds.label(lookup));
        assert_eq!(kinds.hits(), label(Some(Lookup::Hit))..label(Some(Lookup::Hit)) + 1);
        assert_eq!(kinds.misses(), label(Some(Lookup::Miss))..label(Some(Lookup::Miss)) + 1);
        assert_eq!(kinds.all(), label(None)..Kinds::of(5).all().start);
        assert_eq!(kinds.all().end, Kinds::count(5));
    }
}
