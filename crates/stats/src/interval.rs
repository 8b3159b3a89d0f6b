/// A closed interval in the unit of the values that it was made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// Whether a value lies in the interval, its ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }

    /// From `centre − half` to `centre + half`.
    pub(crate) fn around(centre: f64, half: f64) -> Self {
        Self { lo: centre - half, hi: centre + half }
    }

    /// The smallest interval that holds this one and `value`.
    pub(crate) fn including(self, value: f64) -> Self {
        Self { lo: self.lo.min(value), hi: self.hi.max(value) }
    }
}
