//! What a value owns in memory, estimated from what it serialises.
//!
//! Its encoding would not do: a short text takes one byte more than its letters there, and three
//! words and an allocation in memory. So the value is asked by a format that writes nothing and adds
//! up what the usual types take: texts, lists and maps with their allocations, and what lies in them.
//! What is boxed, shared or kept with room to spare looks smaller than it is.

use serde::ser::{self, Serialize};

use crate::refused::Refused;

/// Bytes of what a value owns, beside the value itself.
pub(crate) fn weigh<V: Serialize>(value: &V) -> u64 {
    let mut total = 0;
    // What refuses to be serialised part of the way has been counted until there.
    let _ = value.serialize(Sum { total: &mut total, inside: false });
    total
}

/// What an allocation of so many bytes takes of the heap.
pub(crate) const fn allocation(bytes: u64) -> u64 {
    match bytes {
        0 => 0,
        1..=24 => 32,
        more => (more + 8).next_multiple_of(16),
    }
}

/// Three words: a pointer, a length, a capacity.
const OWNER: u64 = 24;
/// What an entry of a map costs beside its key and value, as nodes and tables are not full.
const MAP_ENTRY: u64 = 24;

struct Sum<'t> {
    total: &'t mut u64,
    /// In an allocation, of which each part counts; outside, the size of the type has it.
    inside: bool,
}

impl Sum<'_> {
    fn inline(&mut self, bytes: u64) {
        if self.inside {
            *self.total += bytes;
        }
    }

    fn again(&mut self, inside: bool) -> Sum<'_> {
        Sum { total: self.total, inside }
    }

    fn text(mut self, bytes: usize) {
        self.inline(OWNER);
        *self.total += allocation(bytes as u64);
    }
}

type Done = Result<(), Refused>;

macro_rules! scalar {
    ($($method:ident $kind:ty;)*) => {$(
        fn $method(mut self, _: $kind) -> Done {
            self.inline(size_of::<$kind>() as u64);
            Ok(())
        }
    )*};
}

impl ser::Serializer for Sum<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalar! {
        serialize_bool bool; serialize_char char;
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_f32 f32; serialize_f64 f64;
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_str(self, text: &str) -> Done {
        self.text(text.len());
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Done {
        self.text(bytes.len());
        Ok(())
    }

    fn serialize_none(mut self) -> Done {
        self.inline(OWNER);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(mut self, _: &'static str, _: u32, _: &'static str) -> Done {
        self.inline(8);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        self.inline(8);
        value.serialize(self)
    }

    fn serialize_seq(mut self, length: Option<usize>) -> Result<Self, Refused> {
        self.inline(OWNER);
        if length != Some(0) {
            *self.total += 16; // the allocation itself
        }
        Ok(Sum { total: self.total, inside: true })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.inline(8);
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Refused> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.inline(8);
        Ok(self)
    }
}

macro_rules! parts {
    ($($kind:ident $method:ident;)*) => {$(
        impl ser::$kind for Sum<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                value.serialize(self.again(self.inside))
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}
parts! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
}

/// Structs and the like: their parts are aligned, and their end is.
macro_rules! aligned {
    ($($kind:ident $($name:ident)?;)*) => {$(
        impl ser::$kind for Sum<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Done {
                value.serialize(self.again(self.inside))
            }

            fn end(self) -> Done {
                *self.total = self.total.next_multiple_of(8);
                Ok(())
            }
        }
    )*};
}
aligned! {
    SerializeTupleStruct;
    SerializeTupleVariant;
    SerializeStruct _name;
    SerializeStructVariant _name;
}

impl ser::SerializeMap for Sum<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        *self.total += MAP_ENTRY;
        key.serialize(self.again(true))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(self.again(true))
    }

    fn end(self) -> Done {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_weighs_what_its_allocations_take() {
        assert_eq!(weigh(&7_u64), 0);
        assert_eq!(weigh(&(1_u8, 2_u64)), 0);
        assert_eq!(weigh(&String::new()), 0);
        assert_eq!(weigh(&"x".repeat(100)), 112);
        assert_eq!(weigh(&Some("x".repeat(100))), 112);
        assert_eq!(weigh(&Vec::<u64>::new()), 0);
        assert_eq!(weigh(&vec![0_u8; 1000]), 16 + 1000);
        assert_eq!(weigh(&vec!["x".to_owned(); 10]), 16 + 10 * (24 + 32));
        let map = std::collections::BTreeMap::from([(1_u64, 2_u64)]);
        assert_eq!(weigh(&map), 16 + 24 + 16);
    }
}
