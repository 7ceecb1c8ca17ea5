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
    assert_eq!((&all.by_name["Ann"], &all.by_name["ann"]), (&item(5, None), &item(6, None)), "keys of maps are kept");
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
