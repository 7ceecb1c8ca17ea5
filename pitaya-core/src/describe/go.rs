//! The shape in which Go Pitaya documents an app (`docgenerator/generator.go`): what its clients and tools read.

use super::{Description, RouteDescription, Side};
use crate::handler::Kind;
use serde_json::{Map, Value, json};

impl Description {
    /// `{"handlers": {route: {"input": .., "output": [..]}}, "remotes": {..}}`, as Go's `Documentation(true)` has it.
    ///
    /// Scalars have Go's names; any other type is `{"Name": {}}`, for its fields are not known here. A request has a
    /// second output, `"error"`, as every Go method that answers has.
    ///
    /// ```
    /// # use pitaya_core::describe::Description;
    /// # let json = r#"{"services": [{"side": "handler", "name": "room", "type_name": "Room", "codecs": [], "location": "",
    /// #     "routes": [{"route": "chat.room.join", "kind": "request", "payload": "Join", "answer": "u32",
    /// #                 "location": ""}]}]}"#;
    /// # let description: Description = serde_json::from_str(json).unwrap();
    /// assert_eq!(
    ///     description.to_go_docs().to_string(),
    ///     r#"{"handlers":{"chat.room.join":{"input":{"Join":{}},"output":["uint32","error"]}},"remotes":{}}"#
    /// );
    /// ```
    #[must_use]
    pub fn to_go_docs(&self) -> Value {
        let side = |side| {
            let services = self.services.iter().filter(|service| service.side == side);
            let routes = services.flat_map(|service| &service.routes);
            routes.map(|route| (route.route.clone(), entry(route))).collect::<Map<_, _>>()
        };
        json!({ "handlers": side(Side::Handler), "remotes": side(Side::Remote) })
    }
}

fn entry(route: &RouteDescription) -> Value {
    let named = |ty: &Option<String>| ty.as_deref().map_or(Value::Null, named);
    let output = match route.kind {
        Kind::Request => json!([named(&route.answer), "error"]),
        Kind::Notify => json!([]),
    };
    json!({ "input": named(&route.payload), "output": output })
}

fn named(ty: &str) -> Value {
    let go = match ty {
        "Raw" | "Vec<u8>" | "Bytes" => "[]byte",
        "String" | "&'static str" => "string",
        "bool" => "bool",
        "u8" => "uint8",
        "u16" => "uint16",
        "u32" => "uint32",
        "u64" => "uint64",
        "usize" => "uint",
        "i8" => "int8",
        "i16" => "int16",
        "i32" => "int32",
        "i64" => "int64",
        "isize" => "int",
        "f32" => "float32",
        "f64" => "float64",
        other => return json!({ other: {} }),
    };
    go.into()
}
