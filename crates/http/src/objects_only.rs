//! A deserializer that reads a struct only from a JSON object.
//!
//! serde reads a struct from an array, too, by the order of its fields. In a request, the order of fields is not part of
//! the API, so `["refund me"]` must not stand for `{"text": "refund me"}`.

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
    },
};
use std::fmt;

/// Reads a `T` from `json`; every struct in it is an object.
///
/// # Errors
/// If `json` is not JSON, or has another shape than `T`.
pub fn read_objects<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = T::deserialize(ObjectsOnly(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Wraps a part of serde's data model, so that every struct below it is read from an object.
#[derive(Debug)]
pub struct ObjectsOnly<T>(pub T);

/// A visitor of a value, or of a struct.
struct Guarded<V> {
    inner: V,
    is_struct: bool,
}

impl<V> Guarded<V> {
    fn value(inner: V) -> Self {
        Self { inner, is_struct: false }
    }
}

/// Forwards methods that take only a visitor.
macro_rules! forward {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Guarded::value(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectsOnly<D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Guarded::value(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Guarded::value(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(length, Guarded::value(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, length, Guarded::value(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Guarded { inner: visitor, is_struct: true })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Guarded::value(visitor))
    }
}

/// Forwards the visits of plain values.
macro_rules! visit {
    ($($method:ident: $value:ty)*) => {$(
        fn $method<E: de::Error>(self, value: $value) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Guarded<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_struct {
            true => f.write_str("an object"),
            false => self.inner.expecting(f),
        }
    }

    visit! {
        visit_bool: bool visit_i64: i64 visit_i128: i128 visit_u64: u64 visit_u128: u128 visit_f64: f64
        visit_str: &str visit_borrowed_str: &'de str visit_string: String
        visit_bytes: &[u8] visit_borrowed_bytes: &'de [u8] visit_byte_buf: Vec<u8>
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(ObjectsOnly(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(ObjectsOnly(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        match self.is_struct {
            true => Err(de::Error::invalid_type(Unexpected::Other("an array"), &self)),
            false => self.inner.visit_seq(ObjectsOnly(items)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(ObjectsOnly(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(ObjectsOnly(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for ObjectsOnly<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(ObjectsOnly(value))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for ObjectsOnly<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(ObjectsOnly(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for ObjectsOnly<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(ObjectsOnly(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for ObjectsOnly<A> {
    type Error = A::Error;
    type Variant = ObjectsOnly<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(seed).map(|(name, content)| (name, ObjectsOnly(content)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for ObjectsOnly<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(ObjectsOnly(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, Guarded::value(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Guarded { inner: visitor, is_struct: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{borrow::Cow, collections::BTreeMap};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
        #[serde(default)]
        parts: Vec<Part>,
        #[serde(default)]
        named: BTreeMap<String, Part>,
        #[serde(default)]
        one: Option<Part>,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        pair: Option<(u8, Part)>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Part {
        n: u64,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Kind {
        Plain,
        With(Part),
        Fields { n: u64 },
    }

    #[test]
    fn objects_lists_and_values_are_read_as_serde_reads_them() {
        let json = r#"{"text": "a\nb", "parts": [{"n": 1}, {"n": 2}], "named": {"x": {"n": 3}}, "one": {"n": 4},
            "kind": {"Fields": {"n": 5}}, "pair": [6, {"n": 7}]}"#;
        let read: Body<'_> = read_objects(json.as_bytes()).unwrap();
        assert_eq!(read, serde_json::from_str(json).unwrap());
        for json in [r#"{"text": "plain"}"#, r#"{"text": "", "one": null, "kind": "Plain"}"#] {
            let read: Body<'_> = read_objects(json.as_bytes()).unwrap();
            assert_eq!(read, serde_json::from_str(json).unwrap());
        }
        let read: Body<'_> = read_objects(br#"{"text": "plain"}"#).unwrap();
        assert!(matches!(read.text, Cow::Borrowed("plain")), "it is not copied");
    }

    #[test]
    fn an_array_is_no_struct_at_any_depth() {
        for json in [
            r#"["refund me"]"#,
            r#"{"text": "a", "parts": [[1]]}"#,
            r#"{"text": "a", "named": {"x": [1]}}"#,
            r#"{"text": "a", "one": [1]}"#,
            r#"{"text": "a", "kind": {"With": [1]}}"#,
            r#"{"text": "a", "kind": {"Fields": [1]}}"#,
            r#"{"text": "a", "pair": [6, [7]]}"#,
        ] {
            assert!(serde_json::from_str::<Body<'_>>(json).is_ok(), "serde alone reads {json}");
            let error = read_objects::<Body<'_>>(json.as_bytes()).unwrap_err();
            assert!(error.is_data(), "{json}: {error}");
            let message = error.to_string();
            assert!(message.contains("an array, expected an object"), "{json}: {message}");
        }
    }

    #[test]
    fn what_follows_a_value_is_an_error() {
        assert!(read_objects::<Body<'_>>(br#"{"text": "a"} {}"#).unwrap_err().is_syntax());
        assert!(read_objects::<Body<'_>>(br#"{"text": "a""#).unwrap_err().is_eof());
    }
}
