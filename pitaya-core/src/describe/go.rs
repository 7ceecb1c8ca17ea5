//! The shape in which Go Pitaya documents an app (`docgenerator/generator.go`): what its clients and tools read.

use super::descriptors::{Descriptors, Field, Message, Type};
use super::{Description, RouteDescription, Side};
use crate::handler::Kind;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

impl Description {
    /// `{"handlers": {route: {"input": .., "output": [..]}}, "remotes": {..}}`, as Go's `Documentation(true)` has it.
    ///
    /// Scalars have Go's names. A type that is made from one of the protobuf messages is `{"*full.Name": {field: type}}`:
    /// by that form tools know whose descriptors to ask for. Any other type is `{"Name": {}}`, for its fields are not known
    /// here. A request has a second output, `"error"`, as every Go method that answers has.
    ///
    /// Files that the messages need and that no route names are in a third member, `{"imports": {"*the/file.proto": {}}}`:
    /// without them the descriptors could not be read. Members of a `oneof` are fields as any other.
    ///
    /// ```
    /// # use pitaya_core::describe::{Description, Descriptors};
    /// # let json = r#"{"services": [{"side": "handler", "name": "room", "type_name": "Room", "codecs": [], "location": "",
    /// #     "routes": [{"route": "chat.room.join", "kind": "request", "payload": "Join", "answer": "u32",
    /// #                 "location": ""}]}]}"#;
    /// # let description: Description = serde_json::from_str(json).unwrap();
    /// assert_eq!(
    ///     description.to_go_docs(&Descriptors::default()).to_string(),
    ///     r#"{"handlers":{"chat.room.join":{"input":{"Join":{}},"output":["uint32","error"]}},"remotes":{}}"#
    /// );
    /// ```
    #[must_use]
    pub fn to_go_docs(&self, descriptors: &Descriptors) -> Value {
        let mut writer = Writer { descriptors, named: BTreeSet::new(), open: Vec::new() };
        let mut side = |side| {
            let services = self.services.iter().filter(|service| service.side == side);
            let routes = services.flat_map(|service| &service.routes);
            routes.map(|route| (route.route.clone(), writer.entry(route))).collect::<Map<_, _>>()
        };
        let mut docs = json!({ "handlers": side(Side::Handler), "remotes": side(Side::Remote) });
        let imports = descriptors.imports_of(&writer.named).into_iter();
        let imports: Map<_, _> = imports.map(|file| (format!("*{file}"), json!({}))).collect();
        if !imports.is_empty() {
            docs["imports"] = imports.into();
        }
        docs
    }
}

struct Writer<'a> {
    descriptors: &'a Descriptors,
    /// Messages that have been written.
    named: BTreeSet<String>,
    /// Messages whose fields are being written: one that contains itself is written once.
    open: Vec<String>,
}

impl Writer<'_> {
    fn entry(&mut self, route: &RouteDescription) -> Value {
        let output = match route.kind {
            Kind::Request => json!([self.rust(route.answer.as_deref()), "error"]),
            Kind::Notify => json!([]),
        };
        json!({ "input": self.rust(route.payload.as_deref()), "output": output })
    }

    /// A type, as an author of Rust wrote it.
    fn rust(&mut self, ty: Option<&str>) -> Value {
        let Some(ty) = ty else { return Value::Null };
        match (scalar(ty), self.descriptors.message_of(ty)) {
            (Some(go), _) => go.into(),
            (None, Some(message)) => self.message(message),
            (None, None) => json!({ ty: {} }),
        }
    }

    fn message(&mut self, name: &str) -> Value {
        let mut fields = Map::new();
        if let Some(message) = self.descriptors.message(name)
            && !self.open.iter().any(|open| open == name)
        {
            self.named.insert(name.to_owned());
            self.open.push(name.to_owned());
            fields = message.fields.iter().map(|field| (field.name.clone(), self.field(field))).collect();
            self.open.pop();
        }
        json!({ format!("*{name}"): fields })
    }

    fn field(&mut self, Field { ty, is_repeated, .. }: &Field) -> Value {
        if let Type::Message(name) = ty
            && let Some(Message { fields, is_pair: true, .. }) = self.descriptors.message(name)
            && let [key, value] = &fields[..]
        {
            return format!("map[{}]{}", in_words(&key.ty), in_words(&value.ty)).into();
        }
        let value = match ty {
            Type::Scalar(go) => (*go).into(),
            Type::Bytes => "[]byte".into(),
            Type::Enum(name) => name.as_str().into(),
            Type::Message(name) => self.message(name),
        };
        if *is_repeated { json!([value]) } else { value }
    }
}

/// Go's word for a type inside another.
fn in_words(ty: &Type) -> String {
    match ty {
        Type::Scalar(go) => (*go).to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Enum(name) => name.clone(),
        Type::Message(name) => format!("*{name}"),
    }
}

fn scalar(ty: &str) -> Option<&'static str> {
    Some(match ty {
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
        _ => return None,
    })
}
