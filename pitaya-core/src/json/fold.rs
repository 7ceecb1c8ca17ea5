//! Field names without regard to case: a deserializer around another one.
//!
//! Everything is handed through, but for the names of a struct's fields. serde gives the list of them, aliases included, to
//! `deserialize_struct` and to the struct variants of enums; there each name that comes is replaced by the one of the list
//! that it means. What serde collects without a list (`flatten`, internally tagged and untagged enums) passes as it is.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Reads with the deserializer, visitor, seed or access in it, and finds fields in any case.
pub(super) struct AnyCase<X>(pub(super) X);

/// The names of a struct's fields, and the one that is expected next: most clients write them in order.
struct Fields {
    names: &'static [&'static str],
    next: usize,
}

/// The map of a struct.
struct StructAccess<A> {
    map: A,
    fields: Fields,
}

/// The visitor of a struct.
struct StructVisitor<V> {
    visitor: V,
    names: &'static [&'static str],
}

/// The seed and then the visitor of a field's name.
struct Name<'a, X> {
    inner: X,
    fields: &'a mut Fields,
}

impl Fields {
    /// The name of the list that is meant: the exact one, else the first that differs in case only, as in Go.
    #[inline]
    fn find(&mut self, name: &str) -> Option<&'static str> {
        if let Some(next) = self.names.get(self.next).filter(|next| **next == name) {
            self.next += 1;
            return Some(next);
        }
        self.search(name)
    }

    fn search(&mut self, name: &str) -> Option<&'static str> {
        let exact = self.names.iter().position(|known| *known == name);
        let found = exact.or_else(|| self.names.iter().position(|known| is_alike(known, name)))?;
        self.next = found + 1;
        self.names.get(found).copied()
    }
}

/// Whether two names differ in case only, by Unicode's simple folding.
fn is_alike(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().map(folded).eq(b.chars().map(folded))
}

/// The representative of all characters that fold into each other one for one.
fn folded(c: char) -> char {
    // What becomes several characters has no simple form.
    fn one(mut several: impl Iterator<Item = char>, c: char) -> char {
        several.next().filter(|_| several.next().is_none()).unwrap_or(c)
    }
    match c {
        // It folds into nothing else, whatever its upper case is.
        'ı' => c,
        c if c.is_ascii() => c.to_ascii_lowercase(),
        c => {
            let upper = one(c.to_uppercase(), c);
            one(upper.to_lowercase(), upper)
        }
    }
}

macro_rules! hand_through {
    ($($method:ident($($name:ident: $type:ty),*);)+) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* AnyCase(visitor))
        }
    )+ };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AnyCase<D> {
    type Error = D::Error;

    hand_through! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_map();
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, names, StructVisitor { visitor, names })
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident: $type:ty;)+) => { $(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )+ };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for AnyCase<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    visit! {
        visit_bool: bool;
        visit_i8: i8;
        visit_i16: i16;
        visit_i32: i32;
        visit_i64: i64;
        visit_i128: i128;
        visit_u8: u8;
        visit_u16: u16;
        visit_u32: u32;
        visit_u64: u64;
        visit_u128: u128;
        visit_f32: f32;
        visit_f64: f64;
        visit_char: char;
        visit_str: &str;
        visit_borrowed_str: &'de str;
        visit_string: String;
        visit_bytes: &[u8];
        visit_borrowed_bytes: &'de [u8];
        visit_byte_buf: Vec<u8>;
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(AnyCase(deserializer))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(AnyCase(deserializer))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(AnyCase(items))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(AnyCase(map))
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(AnyCase(access))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for StructVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(formatter)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(AnyCase(items))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(StructAccess { map, fields: Fields { names: self.names, next: 0 } })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for AnyCase<S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(AnyCase(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for AnyCase<A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(AnyCase(seed))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

/// The keys of a map are its own.
impl<'de, A: MapAccess<'de>> MapAccess<'de> for AnyCase<A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(AnyCase(seed))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for StructAccess<A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.map.next_key_seed(Name { inner: seed, fields: &mut self.fields })
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(AnyCase(seed))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.map.size_hint()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Name<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Name { inner: deserializer, fields: self.fields })
    }
}

/// Whatever a name is asked to be, it is a text: derived code asks for an identifier.
impl<'de, D: Deserializer<'de>> Deserializer<'de> for Name<'_, D> {
    type Error = D::Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(Name { inner: visitor, fields: self.fields })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Name<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<V::Value, E> {
        self.inner.visit_str(self.fields.find(name).unwrap_or(name))
    }

    #[inline]
    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<V::Value, E> {
        self.inner.visit_borrowed_str(self.fields.find(name).unwrap_or(name))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for AnyCase<A> {
    type Error = A::Error;
    type Variant = AnyCase<A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(seed)?;
        Ok((value, AnyCase(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for AnyCase<A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(AnyCase(seed))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, AnyCase(visitor))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.0.struct_variant(names, StructVisitor { visitor, names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GoJson, Json, SerdeCodec};
    use serde::Deserialize;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};
    use std::collections::HashMap;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Item {
        item_id: u64,
        #[serde(alias = "amount", alias = "qty")]
        count: Option<u32>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Action {
        Wait,
        Say(Item),
        Walk { to_x: f64, to_y: f64 },
        Pair(Item, Item),
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct All {
        data: String,
        #[serde(default)]
        items: Vec<Item>,
        #[serde(default)]
        best: Option<Box<Item>>,
        #[serde(default)]
        by_name: HashMap<String, Item>,
        #[serde(default)]
        actions: Vec<Action>,
        #[serde(default)]
        wrapped: Option<Wrapped>,
        #[serde(default)]
        raw: Option<Box<RawValue>>,
        #[serde(default)]
        any: Value,
        #[serde(default)]
        big: u128,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(Item);

    fn read(text: &str) -> All {
        GoJson::from_slice(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"))
    }

    fn item(item_id: u64, count: impl Into<Option<u32>>) -> Item {
        Item { item_id, count: count.into() }
    }

    #[test]
    fn fields_are_found_in_any_case_wherever_serde_knows_them() {
        assert!(Json::from_slice::<All>(br#"{"data":"x"}"#).is_err());
        assert_eq!(read(r#"{"data":"x"}"#).data, "x");
        assert_eq!(read(r#"{"DATA":"x"}"#).data, "x");
        let all = read(
            r#"{"dAtA":"x","ITEMS":[{"ITEMID":1,"Count":2},{"itemid":2,"AMOUNT":3},{"itemId":3,"Qty":null}],"best":{"ItemID":4},
                "BYNAME":{"Ann":{"itemID":5},"ann":{"ITEMid":6}},"wrapped":{"ITEMID":7},
                "actions":["Wait",{"Say":{"ITEMID":8}},{"Walk":{"TO_X":1,"To_Y":2}},{"Pair":[{"ITEMID":9},{"ITEMID":10}]}],
                "raw":{"ItemId":1.0},"any":{"ItemId":[{"X":1}]},"big":340282366920938463463374607431768211455}"#,
        );
        assert_eq!(all.items, [item(1, 2), item(2, 3), item(3, None)]);
        assert_eq!(all.best.as_deref(), Some(&item(4, None)));
        assert_eq!(
            (&all.by_name["Ann"], &all.by_name["ann"]),
            (&item(5, None), &item(6, None)),
            "keys of maps are kept"
        );
        assert_eq!(all.wrapped, Some(Wrapped(item(7, None))));
        let walk = Action::Walk { to_x: 1.0, to_y: 2.0 };
        let pair = Action::Pair(item(9, None), item(10, None));
        assert_eq!(all.actions, [Action::Wait, Action::Say(item(8, None)), walk, pair]);
        assert_eq!(all.raw.expect("raw").get(), r#"{"ItemId":1.0}"#);
        assert_eq!(all.any, json!({ "ItemId": [{ "X": 1 }] }));
        assert_eq!(all.big, u128::MAX);
    }

    #[test]
    fn an_exact_name_wins_as_in_go() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Both {
            #[serde(default)]
            name: u8,
            #[serde(default, rename = "Name")]
            upper: u8,
        }
        let read = |text: &str| GoJson::from_slice::<Both>(text.as_bytes()).expect(text);
        assert_eq!(read(r#"{"Name":1,"name":2}"#), Both { name: 2, upper: 1 });
        assert_eq!(read(r#"{"name":2,"Name":1}"#), Both { name: 2, upper: 1 });
        assert_eq!(read(r#"{"NAME":3}"#), Both { name: 3, upper: 0 }, "else the first");
    }

    #[test]
    fn what_means_no_field_is_named_as_it_was_written() {
        let error = GoJson::from_slice::<All>(br#"{"Data":"x","Dada":1}"#).expect_err("denied");
        assert!(error.message().contains("unknown field `Dada`"), "{error:?}");
        assert_eq!(GoJson::from_slice::<Item>(br#"{"more":{"ItemId":7},"itemid":1}"#), Ok(item(1, None)));
        assert!(GoJson::from_slice::<Item>(br#"{"itemId":1}}"#).is_err());
        assert_eq!(GoJson::from_slice::<Item>(b"[1,2]"), Ok(item(1, 2)));
    }

    #[test]
    fn broken_texts_are_read_as_by_json() {
        assert_eq!(read(r#"{"data":"\ud83d"}"#).data, "\u{fffd}");
        assert_eq!(read(r#"{"DATA":"a","DATA":"b"}"#).data, "b");
    }

    /// Serde collects these before it knows any fields.
    #[test]
    fn flattened_and_tagged_content_must_be_exact() {
        #[derive(Deserialize)]
        struct Outer {
            id: u8,
            #[serde(flatten)]
            rest: Rest,
        }
        #[derive(Deserialize)]
        struct Rest {
            more: u8,
        }
        let outer: Outer = GoJson::from_slice(br#"{"id":1,"more":2}"#).expect("exact");
        assert_eq!((outer.id, outer.rest.more), (1, 2));
        assert!(GoJson::from_slice::<Outer>(br#"{"ID":1,"More":2}"#).is_err());
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(tag = "kind")]
        enum Tagged {
            A { x: u8 },
        }
        assert_eq!(GoJson::from_slice::<Tagged>(br#"{"kind":"A","x":1}"#), Ok(Tagged::A { x: 1 }));
        assert!(GoJson::from_slice::<Tagged>(br#"{"kind":"A","X":1}"#).is_err());
    }

    #[test]
    fn letters_beyond_ascii_fold_one_for_one() {
        for (a, b) in [("größe", "GRÖßE"), ("ключ", "КЛЮЧ"), ("key", "\u{212a}ey"), ("size", "\u{17f}IZE"), ("µ", "Μ")]
        {
            assert!(is_alike(a, b), "{a} {b}");
        }
        for (a, b) in [("größe", "GRÖSSE"), ("i", "ı"), ("i", "İ"), ("a", "ä"), ("ab", "a")] {
            assert!(!is_alike(a, b), "{a} {b}");
        }
    }
}
