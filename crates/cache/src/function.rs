//! What is known of one cached function, beside its code.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::cache::Value;
use crate::fingerprint::fingerprint;
use crate::key::hash64;
use crate::policy::Policy;
use crate::telemetry::Meters;

/// A cached function: its name, which is its label in metrics and stands in its keys, and its
/// policy. One `static` for each function; `#[cached]` writes it.
///
/// ```
/// use pinchpoint_cache::{Function, Policy};
/// use std::time::Duration;
/// static PROFILE: Function = Function::new("profile", Policy::new(Duration::from_secs(300)));
/// ```
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    scope: &'static str,
    version: u32,
    pub(crate) policy: Policy,
    first: OnceLock<(TypeId, u64)>,
    /// A generic function has values of several types.
    others: OnceLock<Mutex<HashMap<TypeId, u64>>>,
    meters: OnceLock<Meters>,
}

impl Function {
    /// A function under its name and its policy. Two functions of one name, scope and type of value
    /// share their values.
    ///
    /// # Panics
    ///
    /// Unless the name is 1 to 64 letters, digits, `_`, `-` or `.`; other characters part the keys of
    /// which it is the beginning. In a `static` that is an error of the compiler.
    #[must_use]
    pub const fn new(name: &'static str, policy: Policy) -> Self {
        assert!(
            is_name(name),
            "the name of a cached function is 1 to 64 letters, digits, '_', '-' or '.'"
        );
        Self {
            name,
            scope: "",
            version: 0,
            policy,
            first: OnceLock::new(),
            others: OnceLock::new(),
            meters: OnceLock::new(),
        }
    }

    /// What keeps it apart from others of its name: `#[cached]` gives `module_path!()`.
    #[must_use]
    pub const fn scope(mut self, scope: &'static str) -> Self {
        self.scope = scope;
        self
    }

    /// A version to raise by hand where what the value means changed, and its type did not.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The name given.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Tells this function and the shape of its values from any other's; stands in every key.
    #[inline]
    pub(crate) fn id<V: Value>(&self) -> u64 {
        let kind = TypeId::of::<V>();
        let (first, id) = *self.first.get_or_init(|| (kind, self.make_id::<V>()));
        if first == kind {
            return id;
        }
        let mut others =
            self.others.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        *others.entry(kind).or_insert_with(|| self.make_id::<V>())
    }

    fn make_id<V: Value>(&self) -> u64 {
        let named = hash64(self.name.as_bytes(), u64::from(self.version));
        let scoped = hash64(self.scope.as_bytes(), named);
        hash64(&fingerprint::<V>().to_le_bytes(), scoped).max(1) // 0 stands for tags
    }

    #[inline]
    pub(crate) fn meters(&self) -> &Meters {
        self.meters.get_or_init(|| Meters::new(self.name))
    }
}

/// As `#[cached]` has it for a name that is given.
const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_alphanumeric() || matches!(bytes[at], b'_' | b'-' | b'.')) {
            return false;
        }
        at += 1;
    }
    matches!(bytes.len(), 1..=64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_part_a_key_is_none() {
        for name in ["get_user", "v2.user-page", "X"] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", "user@v2", "a:b", "#tag", "!get", "größe", "a b", &long] {
            assert!(!is_name(name), "{name}");
        }
    }
}
