use pinchpoint_measure::Missing;

/// What could not be read; each source once, with the first reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps(Vec<Missing>);

impl Gaps {
    /// Notes a source that could not be read.
    pub(crate) fn note(&mut self, signal: &str, reason: impl Into<String>) {
        if self.0.iter().all(|gap| gap.signal != signal) {
            self.0.push(Missing { signal: signal.to_owned(), reason: reason.into() });
        }
    }

    pub(crate) fn list(&self) -> Vec<Missing> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_once() {
        let mut gaps = Gaps::default();
        gaps.note("a", "first");
        gaps.note("b", "other");
        gaps.note("a", "second");
        let list = gaps.list();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].signal.as_str(), list[0].reason.as_str()), ("a", "first"));
    }
}
