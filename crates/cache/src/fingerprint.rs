//! A fingerprint of a type's serialised shape, so that two releases never read each other's bytes.
//!
//! The codec is not self-describing: a struct that gained a field would decode old bytes *wrongly*.
//! So the type is asked what it would read: its `Deserialize` is run against a format that writes
//! down each question (names of structs, fields and variants, and the kinds of their values) and
//! answers with samples. Where a type refuses every sample, or hides behind an enum's later
//! variants, the walk ends early: names met before still count, and `version = N` covers the rest.

use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer, Visitor};

use crate::key::hash64;
use crate::refused::Refused;

/// Recursive types are walked this deep, and no type further than this many questions.
const DEEPEST: usize = 12;
const MOST: usize = 4000;

/// A hash of the shape that `V` is serialised in. It is the same in every build from the same types.
pub(crate) fn fingerprint<'de, V: Deserialize<'de>>() -> u64 {
    let mut notes = Notes { hash: 0, count: 0 };
    // A refusal ends the walk; the questions asked until then are in the hash.
    let _ = V::deserialize(Walk { notes: &mut notes, depth: 0 });
    notes.hash
}

struct Notes {
    hash: u64,
    count: usize,
}

struct Walk<'h> {
    notes: &'h mut Notes,
    depth: usize,
}

impl Walk<'_> {
    fn note(&mut self, question: &str) {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        let length = (question.len() as u64).to_le_bytes();
        self.notes.hash = hash64(question.as_bytes(), hash64(&length, self.notes.hash));
        self.notes.count += 1;
    }

    fn is_deep(&self) -> bool {
        self.depth >= DEEPEST || self.notes.count >= MOST
    }

    fn note_all(&mut self, kind: &str, name: &str, parts: &[&str]) {
        self.note(kind);
        self.note(name);
        for part in parts {
            self.note(part);
        }
    }
}

macro_rules! scalar {
    ($($method:ident $visit:ident $sample:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            self.note(stringify!($method));
            visitor.$visit($sample)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Walk<'_> {
    type Error = Refused;

    scalar! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_i8 1; deserialize_i16 visit_i16 1;
        deserialize_i32 visit_i32 1; deserialize_i64 visit_i64 1; deserialize_i128 visit_i128 1;
        deserialize_u8 visit_u8 1; deserialize_u16 visit_u16 1;
        deserialize_u32 visit_u32 1; deserialize_u64 visit_u64 1; deserialize_u128 visit_u128 1;
        deserialize_f32 visit_f32 1.0; deserialize_f64 visit_f64 1.0;
        deserialize_char visit_char '1';
        // A string that dates, and whatever takes any string, accept.
        deserialize_str visit_borrowed_str "2000-01-01T00:00:00Z";
        deserialize_string visit_borrowed_str "2000-01-01T00:00:00Z";
        deserialize_bytes visit_borrowed_bytes &[0; 16];
        deserialize_byte_buf visit_borrowed_bytes &[0; 16];
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, _: V) -> Result<V::Value, Refused> {
        self.note("any");
        Err(Refused)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("option");
        if self.is_deep() {
            return visitor.visit_none();
        }
        visitor.visit_some(Walk { notes: self.notes, depth: self.depth + 1 })
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("unit");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note_all("unit struct", name, &[]);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note_all("newtype", name, &[]);
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("seq");
        let one = usize::from(!self.is_deep());
        visitor.visit_seq(Each { walk: self, left: one })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note_all("tuple", &len.to_string(), &[]);
        visitor.visit_seq(Each { walk: self, left: len })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note_all("tuple struct", name, &[]);
        visitor.visit_seq(Each { walk: self, left: len })
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("map");
        let one = usize::from(!self.is_deep());
        visitor.visit_map(Each { walk: self, left: one })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note_all("struct", name, fields);
        if self.is_deep() {
            return Err(Refused);
        }
        visitor.visit_seq(Each { walk: self, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note_all("enum", name, variants);
        visitor.visit_enum(self)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u64(0)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }
}

struct Each<'h> {
    walk: Walk<'h>,
    left: usize,
}

impl Each<'_> {
    fn next<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(Walk { notes: self.walk.notes, depth: self.walk.depth + 1 })
    }
}

impl<'de> de::SeqAccess<'de> for Each<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.next(seed).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for Each<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.next(seed).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        self.next(seed)
    }
}

/// The first variant stands for all: the others are known by name.
impl<'de, 'h> de::EnumAccess<'de> for Walk<'h> {
    type Error = Refused;
    type Variant = Walk<'h>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Walk<'h>), Refused> {
        Ok((seed.deserialize(0_u32.into_deserializer())?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Walk<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        if self.is_deep() {
            return Err(Refused);
        }
        seed.deserialize(Walk { notes: self.notes, depth: self.depth + 1 })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_seq(Each { walk: self, left: len })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_seq(Each { walk: self, left: fields.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::HashMap;

    mod before {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only its shape is looked at")]
        pub(super) struct User {
            id: i64,
            name: Option<String>,
        }
    }
    mod wider {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only its shape is looked at")]
        pub(super) struct User {
            id: i64,
            name: Option<String>,
            age: u8,
        }
    }
    mod other_kind {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only its shape is looked at")]
        pub(super) struct User {
            id: i32,
            name: Option<String>,
        }
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Tree {
        children: Vec<Tree>,
        parent: Option<Box<Tree>>,
        by_name: HashMap<String, Tree>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    enum Loop {
        Again(Box<Loop>),
        Never,
    }

    #[test]
    fn a_field_more_or_of_another_kind_makes_another_fingerprint() {
        let user = fingerprint::<before::User>();
        assert_eq!(user, fingerprint::<before::User>());
        assert_ne!(user, fingerprint::<wider::User>());
        assert_ne!(user, fingerprint::<other_kind::User>());
        assert_ne!(fingerprint::<Vec<before::User>>(), fingerprint::<Vec<other_kind::User>>());
        assert_ne!(fingerprint::<Option<u8>>(), fingerprint::<u8>());
        assert_ne!(fingerprint::<(u8, u8)>(), fingerprint::<(u8, u16)>());
        assert_ne!(fingerprint::<Result<u8, u8>>(), fingerprint::<Result<u16, u8>>());
    }

    #[test]
    fn types_that_hold_themselves_come_to_an_end() {
        assert_ne!(fingerprint::<Tree>(), fingerprint::<Loop>());
    }

    #[test]
    fn the_fingerprint_is_pinned() {
        // Another one means that the next release reads nothing of what this one stored.
        assert_eq!(format!("{:016x}", fingerprint::<(i64, String)>()), "860b6896021d4789");
    }
}
