use std::collections::BTreeMap;

use serde_json::Value;

/// The levels of one variant: what was varied, by factor name.
///
/// The ladder uses `connection`, `pool`, `pool_min`, `concurrency`, `batch`, `method`,
/// `synchronous_commit` and `write`.
pub type Factors = BTreeMap<String, Value>;

/// A factor's level as a whole number, when it is one.
pub fn factor_u64(factors: &Factors, name: &str) -> Option<u64> {
    factors.get(name).and_then(Value::as_u64)
}

/// A factor's level as people read it; a dash when it does not apply.
pub fn factor_text(factors: &Factors, name: &str) -> String {
    match factors.get(name) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(s)) => s.clone(),
        Some(other) => other.to_string(),
    }
}
