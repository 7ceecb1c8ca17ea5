//! The option `schema`: JSON Schemas in the description of a route.

use pitaya_runtime::Handlers;
use pitaya_runtime::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Join {
    #[serde(default)]
    #[allow(dead_code)]
    room: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Joined {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    members: u32,
}

/// No schema: nobody asks for one.
#[derive(Deserialize)]
pub(crate) struct Opaque {}

type Reply<T> = Result<T>;

pub(crate) trait Kept: Send + Sync + 'static {
    type Item: for<'a> Deserialize<'a> + Serialize + JsonSchema + Send + Sync + 'static;
}

struct Numbers;

impl Kept for Numbers {
    type Item = u32;
}

struct Shelf<S>(S);

#[handler(schema)]
impl<S: Kept> Shelf<S> {
    pub(crate) async fn join(&self, _join: Join) -> Reply<Joined> {
        Ok(Joined { topic: None, members: 1 })
    }
    pub(crate) fn raw(&self, raw: Raw) -> Raw {
        raw
    }
    pub(crate) fn leave(&self) -> Result<()> {
        Ok(())
    }
    #[route(notify)]
    pub(crate) fn put(&self, _item: S::Item) -> Result<()> {
        Ok(())
    }
    #[cfg(any())]
    pub(crate) fn never(&self, _: Opaque) {}
    pub(crate) fn show(&self) -> impl Serialize + Send + use<S> {
        1
    }
}

struct Plain;

#[handler]
impl Plain {
    pub(crate) fn open(&self, _: Opaque) {}
}

struct Doors;

#[remote(schema, codec = Json, client = false)]
impl Doors {
    pub(crate) async fn join(&self, _join: Join) -> Reply<Joined> {
        Ok(Joined { topic: None, members: 1 })
    }
    pub(crate) fn left(&self, _name: String) {}
}

/// What a contract asks for, its servers have.
#[remote(schema, codec = Json, client = false)]
pub(crate) trait Counts {
    async fn count(&self, join: Join) -> Result<Joined>;
    fn reset(&self) -> Result<()>;
}

struct Hall;

#[remote]
impl Counts for Hall {
    async fn count(&self, _: Join) -> Result<Joined> {
        Ok(Joined { topic: None, members: 1 })
    }
    fn reset(&self) -> Result<()> {
        Ok(())
    }
}

type Found = Vec<(String, Option<Value>, Option<Value>)>;

fn schemas<S: Handlers>(component: S) -> Found {
    described(Builder::new("chat").acceptor(Tcp::bind("127.0.0.1:0")).handlers(component))
}

fn described(builder: Builder) -> Found {
    let app = builder.build().expect("an app");
    let routes = app.describe().services.into_iter().flat_map(|service| service.routes);
    routes.map(|route| (route.route, route.payload_schema, route.answer_schema)).collect()
}

#[test]
fn schemas_are_those_of_the_wire() {
    let found = schemas(Shelf(Numbers));
    let names: Vec<_> = found.iter().map(|(route, ..)| &**route).collect();
    assert_eq!(names, ["chat.shelf.join", "chat.shelf.leave", "chat.shelf.put", "chat.shelf.raw", "chat.shelf.show"]);
    let (_, payload, answer) = &found[0];
    let (payload, answer) = (payload.as_ref().unwrap(), answer.as_ref().unwrap());
    // What has a default need not be sent; what is left out of an answer is not promised.
    assert_eq!(payload["properties"]["room"], json!({"type": "string", "default": ""}));
    assert_eq!((&payload["required"], &answer["required"]), (&Value::Null, &json!(["members"])));
    assert_eq!((&payload["title"], &answer["title"]), (&json!("Join"), &json!("Joined")));
    assert_eq!((&found[1].1, &found[1].2), (&None, &Some(json!({"type": "object"}))));
    assert_eq!((&found[2].1.as_ref().unwrap()["type"], &found[2].2), (&json!("integer"), &None));
    assert!(found[3].1.is_some() && found[3].1 == found[3].2, "{found:?}");
    assert_eq!((&found[4].1, &found[4].2), (&None, &None));
}

#[test]
fn other_blocks_need_no_schema() {
    assert_eq!(schemas(Plain), [("chat.plain.open".to_owned(), None, None)]);
}

#[test]
fn remotes_have_schemas_too() {
    let found = described(Builder::new("chat").remotes(Doors));
    let (route, payload, answer) = &found[0];
    assert_eq!((&**route, found.len()), ("chat.doors.join", 2));
    assert_eq!(payload.as_ref().unwrap()["title"], json!("Join"));
    assert_eq!(answer.as_ref().unwrap()["required"], json!(["members"]));
    assert_eq!((&found[1].1.as_ref().unwrap()["type"], &found[1].2), (&json!("string"), &None));
    let served = described(Builder::new("chat").remotes(Hall));
    assert_eq!((&served[0].1, &served[0].2), (payload, answer));
    assert_eq!((&*served[1].0, &served[1].1), ("chat.counts.reset", &None));
    assert_eq!(served[1].2, Some(json!({"type": "object"})));
}
