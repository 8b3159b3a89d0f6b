use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A JSON pointer (RFC 6901), looked up while the text is read: no tree is built of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    /// Reads a pointer: empty for the whole, else `/` before each step, `~1` for `/`, `~0` for `~`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let steps = match text.strip_prefix('/') {
            None if text.is_empty() => Vec::new(),
            None => return Err(format!("the JSON pointer {text:?} does not begin with /")),
            Some(rest) => {
                rest.split('/').map(|s| s.replace("~1", "/").replace("~0", "~")).collect()
            }
        };
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Whether a text is JSON as a whole and has something here: this value, when one is given.
    pub(crate) fn find(&self, json: &[u8], value: Option<&Value>) -> bool {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let found = Seek { steps: &self.steps, value }.deserialize(&mut reader);
        found.unwrap_or(false) && reader.end().is_ok()
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { "body" } else { &self.text })
    }
}

/// Goes down the rest of a pointer.
#[derive(Clone, Copy)]
struct Seek<'a> {
    steps: &'a [String],
    value: Option<&'a Value>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        match (self.steps.is_empty(), self.value) {
            (false, _) => deserializer.deserialize_any(self),
            (true, None) => {
                deserializer.deserialize_ignored_any(IgnoredAny).map(|_: IgnoredAny| true)
            }
            (true, Some(wanted)) => {
                <Value as serde::Deserialize>::deserialize(deserializer).map(|v| v == *wanted)
            }
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Some((step, rest)) = self.steps.split_first() else { return Ok(false) };
        let mut found = false;
        while let Some(here) = map.next_key_seed(IsKey(step))? {
            if here {
                found = map.next_value_seed(Seek { steps: rest, value: self.value })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let Some((step, rest)) = self.steps.split_first() else { return Ok(false) };
        let wanted = step.parse::<usize>().ok();
        let (mut found, mut at) = (false, 0);
        loop {
            if wanted == Some(at) {
                match list.next_element_seed(Seek { steps: rest, value: self.value })? {
                    Some(here) => found = here,
                    None => return Ok(false),
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Whether a key is this one; it is not copied.
struct IsKey<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(json: &str, pointer: &str) -> bool {
        Pointer::parse(pointer).unwrap().find(json.as_bytes(), None)
    }

    #[test]
    fn a_pointer_finds_what_is_there() {
        let json = r#"{"post": {"id": 7, "a/b": [1, {"c~d": null}]}, "x": "y"}"#;
        for there in ["", "/post", "/post/id", "/post/a~1b/0", "/post/a~1b/1/c~0d", "/x"] {
            assert!(find(json, there), "{there}");
        }
        for missing in ["/posts", "/post/id/0", "/post/a~1b/2", "/post/a~1b/x", "/x/y"] {
            assert!(!find(json, missing), "{missing}");
        }
        let seven = Value::from(7);
        assert!(Pointer::parse("/post/id").unwrap().find(json.as_bytes(), Some(&seven)));
        assert!(!Pointer::parse("/x").unwrap().find(json.as_bytes(), Some(&seven)));
        assert!(Pointer::parse("post").is_err());
    }

    #[test]
    fn a_text_that_is_not_json_as_a_whole_has_nothing() {
        for json in ["", "{", r#"{"a": 1} x"#, r#"{"a": 1"#, "<html>"] {
            assert!(!find(json, "/a"), "{json}");
            assert!(!find(json, ""), "{json}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_tree(json in r#"[\[\]{}:,"a0-9 ]{0,40}"#, pointer in "(/[a0-2]){0,3}") {
            let tree: Option<Value> = serde_json::from_str(&json).ok();
            let there = tree.is_some_and(|t| t.pointer(&pointer).is_some());
            // With a key that is there twice the tree has the last one; so have we.
            prop_assert_eq!(find(&json, &pointer), there);
        }
    }
}
