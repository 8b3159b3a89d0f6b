//! Invalidations that could not be sent, kept until Redis is back.

use std::collections::HashSet;

/// Beyond this many the whole namespace is removed instead.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Pending {
    keys: HashSet<String>,
    everything: bool,
}

/// What is to be removed before Redis may be trusted again.
pub(crate) enum Due {
    Nothing,
    Keys(HashSet<String>),
    Everything,
}

impl Pending {
    pub(crate) fn add(&mut self, keys: HashSet<String>) {
        if self.everything {
            return;
        }
        self.keys.extend(keys);
        if self.keys.len() > MOST {
            self.add_everything();
        }
    }

    pub(crate) fn add_everything(&mut self) {
        *self = Self { keys: HashSet::new(), everything: true };
    }

    pub(crate) fn take(&mut self) -> Due {
        let Self { keys, everything } = std::mem::take(self);
        match everything {
            true => Due::Everything,
            false if keys.is_empty() => Due::Nothing,
            false => Due::Keys(keys),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len() + usize::from(self.everything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_keys_become_everything() {
        let mut pending = Pending::default();
        assert!(matches!(pending.take(), Due::Nothing));
        pending.add((0..MOST).map(|i| i.to_string()).collect());
        assert!(matches!(pending.take(), Due::Keys(keys) if keys.len() == MOST));
        pending.add((0..=MOST).map(|i| i.to_string()).collect());
        pending.add(["x".to_owned()].into());
        assert!(matches!(pending.take(), Due::Everything));
    }
}
