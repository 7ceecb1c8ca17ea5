//! A server that tells what it exposes, in the words of Go's tools.

use crate::support::{connect, serve};
use flate2::read::GzDecoder;
use pitaya_runtime::describe::{Description, DescriptorError, Descriptors};
use pitaya_runtime::docs::protos::{self, ProtoDescriptors, ProtoNames};
use pitaya_runtime::docs::{Docs, DocsClient};
use pitaya_runtime::prelude::*;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MessageOptions,
};
use serde_json::{Value, json};
use std::io::Read;

/// As prost makes them: types of one package in one module. What is in them matters to nobody here.
mod pb {
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub struct Request {}
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub struct Response {}
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub struct Push {}
}

struct Room;

#[handler(codec = Protobuf)]
impl Room {
    pub fn forward(&self, request: pb::Request) -> Result<pb::Response> {
        let _ = request;
        Ok(pb::Response {})
    }
    pub async fn say(&self, push: pb::Push) {
        let _ = push;
    }
    pub fn raw(&self, raw: Raw) -> Raw {
        raw
    }
    pub fn empty(&self) -> protos::Doc {
        protos::Doc::default()
    }
}

// ---------------------------------------------------------------- descriptors, as protoc writes them

fn field(name: &str, number: i32, ty: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(ty.into()),
        json_name: Some(name.to_owned()),
        ..Default::default()
    }
}

fn of(name: &str, number: i32, ty: Type, type_name: &str) -> FieldDescriptorProto {
    FieldDescriptorProto { type_name: Some(type_name.to_owned()), ..field(name, number, ty) }
}

fn many(field: FieldDescriptorProto) -> FieldDescriptorProto {
    FieldDescriptorProto { label: Some(Label::Repeated.into()), ..field }
}

fn message(name: &str, field: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: Some(name.to_owned()), field, ..Default::default() }
}

fn enumeration(name: &str) -> EnumDescriptorProto {
    let none = EnumValueDescriptorProto { name: Some("None".to_owned()), number: Some(0), ..Default::default() };
    EnumDescriptorProto { name: Some(name.to_owned()), value: vec![none], ..Default::default() }
}

fn file(name: &str, package: &str, imports: &[&str], messages: Vec<DescriptorProto>) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some(package.to_owned()),
        dependency: imports.iter().map(|&import| import.to_owned()).collect(),
        message_type: messages,
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

/// The messages that Go's servers send each other.
fn envelopes() -> Vec<FileDescriptorProto> {
    use Type::{Bytes, Enum, Int64, Message, String, Uint64};
    let pair = DescriptorProto {
        options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..message("MetadataEntry", vec![field("key", 1, String), field("value", 2, String)])
    };
    let mut error = message(
        "Error",
        vec![
            field("code", 1, String),
            field("msg", 2, String),
            many(of("metadata", 3, Message, ".protos.Error.MetadataEntry")),
        ],
    );
    error.nested_type.push(pair);
    let msg = vec![
        field("id", 1, Uint64),
        field("route", 2, String),
        field("data", 3, Bytes),
        field("reply", 4, String),
        of("type", 5, Enum, ".protos.MsgType"),
    ];
    let mut msg = file("msg.proto", "protos", &[], vec![message("Msg", msg)]);
    msg.enum_type.push(enumeration("MsgType"));
    let session = vec![field("id", 1, Int64), field("uid", 2, String), field("data", 3, Bytes)];
    let request = vec![
        of("type", 1, Enum, ".protos.RPCType"),
        of("session", 2, Message, ".protos.Session"),
        of("msg", 3, Message, ".protos.Msg"),
        field("frontendID", 4, String),
        field("metadata", 5, Bytes),
    ];
    let mut request =
        file("request.proto", "protos", &["session.proto", "msg.proto"], vec![message("Request", request)]);
    request.enum_type.push(enumeration("RPCType"));
    let response = vec![field("data", 1, Bytes), of("error", 2, Message, ".protos.Error")];
    let push = vec![field("route", 1, String), field("uid", 2, String), field("data", 3, Bytes)];
    vec![
        file("error.proto", "protos", &[], vec![error]),
        msg,
        file("session.proto", "protos", &[], vec![message("Session", session)]),
        request,
        file("response.proto", "protos", &["error.proto"], vec![message("Response", response)]),
        file("push.proto", "protos", &[], vec![message("Push", push)]),
    ]
}

fn set(file: Vec<FileDescriptorProto>) -> Vec<u8> {
    FileDescriptorSet { file }.encode_to_vec()
}

fn docs() -> Docs {
    Docs::new().descriptors(&set(envelopes())).expect("a set")
}

fn gunzipped(file: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    GzDecoder::new(file).read_to_end(&mut raw).expect("gzip");
    raw
}

fn decoded(files: &ProtoDescriptors) -> Vec<FileDescriptorProto> {
    files.desc.iter().map(|file| FileDescriptorProto::decode(&*gunzipped(file)).expect("a file")).collect()
}

fn names(names: &[&str]) -> ProtoNames {
    ProtoNames { name: names.iter().map(|&name| name.to_owned()).collect() }
}

// ---------------------------------------------------------------- what is answered

/// What Go's `docgenerator` makes of the same methods, with the names of services and methods as ours are.
fn expected_of_go() -> Value {
    let request = json!({
        "frontendID": "string",
        "metadata": "[]byte",
        "msg": {"*protos.Msg": {
            "data": "[]byte", "id": "uint64", "reply": "string", "route": "string", "type": "protos.MsgType",
        }},
        "session": {"*protos.Session": {"data": "[]byte", "id": "int64", "uid": "string"}},
        "type": "protos.RPCType",
    });
    let error = json!({"code": "string", "metadata": "map[string]string", "msg": "string"});
    let response = json!({"data": "[]byte", "error": {"*protos.Error": error}});
    let doc = json!({"*protos.Doc": {"doc": "string"}});
    json!({
        "game.docs.descriptor": {
            "input": {"*protos.ProtoNames": {"name": ["string"]}},
            "output": [{"*protos.ProtoDescriptors": {"desc": ["[]byte"]}}, "error"],
        },
        "game.docs.docs": {"input": null, "output": [doc.clone(), "error"]},
        "game.room.empty": {"input": null, "output": [doc, "error"]},
        "game.room.forward": {
            "input": {"*protos.Request": request},
            "output": [{"*protos.Response": response}, "error"],
        },
        "game.room.raw": {"input": "[]byte", "output": ["[]byte", "error"]},
        "game.room.say": {
            "input": {"*protos.Push": {"data": "[]byte", "route": "string", "uid": "string"}},
            "output": [],
        },
    })
}

#[tokio::test]
async fn clients_and_servers_get_the_documentation_that_go_makes() {
    let app = serve(Builder::new("game").serializer::<Protobuf>().handlers(Room).component(docs())).await;
    let client = connect(&app).await;
    // pitaya-cli sends nothing; others send a `DocMsg`.
    for body in [&[][..], &[8, 1]] {
        let answer = client.request_raw("game.docs.docs", body).await.expect("an answer");
        let doc: Value = serde_json::from_str(&protos::Doc::decode(answer).expect("a Doc").doc).expect("JSON");
        assert_eq!(doc["handlers"], expected_of_go());
        let routes: Vec<_> = doc["remotes"].as_object().expect("a map").keys().collect();
        assert_eq!(routes, ["game.docs.descriptor", "game.docs.docs"]);
        assert_eq!(doc.get("imports"), None, "every file is named by a route");
        let remote = DocsClient::new(app.rpc(), "game").docs().await.expect("an answer");
        assert_eq!(serde_json::from_str::<Value>(&remote.doc).expect("JSON"), doc);
    }
}

#[tokio::test]
async fn each_name_is_answered_with_the_file_that_defines_it() {
    let app = serve(Builder::new("game").serializer::<Protobuf>().component(docs())).await;
    let client = connect(&app).await;
    let files = envelopes();
    let asked = names(&["protos.Error", "protos.MsgType", "protos.Error.MetadataEntry", "push.proto", "protos.Msg"]);
    let expected = [&files[0], &files[1], &files[0], &files[5], &files[1]].map(Clone::clone);
    let answer = client.request_raw("game.docs.descriptor", asked.encode_to_vec()).await.expect("an answer");
    let answer = ProtoDescriptors::decode(answer).expect("descriptors");
    assert_eq!(decoded(&answer), expected);
    let remote = DocsClient::new(app.rpc(), "game");
    assert_eq!(remote.descriptor(&asked).await, Ok(answer));

    let own = remote.descriptor(&names(&["protos.Doc", "protos.ProtoNames", "protos.ProtoDescriptors"])).await;
    let own = decoded(&own.expect("they are always there"));
    let own: Vec<_> = own.iter().map(|file| file.name()).collect();
    assert_eq!(own, ["doc.proto", "protodescriptor.proto", "protodescriptor.proto"]);

    let error = remote.descriptor(&names(&["protos.A", "protos.Msg", "B"])).await.expect_err("two are unknown");
    let text = "failed to get descriptor for 'protos.A', 'B': failed to get protobuf message descriptor";
    assert_eq!((error.code(), error.message()), ("PIT-404", text));
    assert_eq!(error.metadata().expect("metadata")["names"], "protos.A,B");
}

#[tokio::test]
async fn in_json_files_are_base64() {
    let app = serve(Builder::new("game").handlers(docs())).await;
    let client = connect(&app).await;
    let asked = json!({"name": ["protos.Push"]});
    let answer: Value = client.request_json("game.docs.descriptor", &asked).await.expect("an answer");
    let text = answer["desc"][0].as_str().expect("a text");
    let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).expect("base64");
    assert_eq!(FileDescriptorProto::decode(&*gunzipped(&raw)).expect("a file"), envelopes()[5]);
    let doc: Value = client.request_json("game.docs.docs", &json!({})).await.expect("an answer");
    assert!(doc["doc"].as_str().is_some_and(|doc| doc.contains("game.docs.descriptor")), "{doc}");
    // For clients only, as it was mounted.
    let error = DocsClient::new(app.rpc(), "game").docs().await.expect_err("no remote");
    assert_eq!(error.code(), "PIT-404");
}

#[tokio::test]
async fn nothing_is_told_unless_it_is_mounted() {
    let app = serve(Builder::new("game").serializer::<Protobuf>().handlers(Room)).await;
    let error = connect(&app).await.request_raw("game.docs.docs", "").await.expect_err("no such route");
    assert_eq!(error.code(), Some("PIT-404"));
    assert!(!app.describe().services.iter().any(|service| service.name == "docs"));
}

// ---------------------------------------------------------------- names

/// The documentation of one route that takes this type.
fn described(ty: &str, descriptors: &Descriptors) -> Value {
    let description = json!({"services": [{
        "side": "handler", "name": "room", "type_name": "Room", "codecs": [], "location": "",
        "routes": [{"route": "room.join", "kind": "notify", "payload": ty, "location": ""}],
    }]});
    serde_json::from_value::<Description>(description).expect("a description").to_go_docs(descriptors)
}

fn input(ty: &str, descriptors: &Descriptors) -> Value {
    described(ty, descriptors)["handlers"]["room.join"]["input"].clone()
}

#[test]
fn a_rust_type_is_the_message_whose_path_ends_as_its_own() {
    let mut outer = message("Outer_Type", vec![]);
    outer.nested_type.push(message("HTTPJoin", vec![field("at", 1, Type::Sint32)]));
    let room = file("room.proto", "game.room_v1", &[], vec![outer, message("Leave", vec![])]);
    let hall = file("hall.proto", "game.hall", &[], vec![message("Leave", vec![]), message("Doc", vec![])]);
    let mut descriptors = Descriptors::default();
    assert_eq!(input("Doc", &descriptors), json!({"Doc": {}}), "the app's own, whatever it is");
    assert_eq!(input("protos::Doc", &descriptors), json!({"*protos.Doc": {"doc": "string"}}));
    descriptors.add(&set(vec![room, hall])).expect("a set");
    for ty in ["HttpJoin", "outer_type::HttpJoin", "crate::pb::game::room_v1::outer_type::HttpJoin"] {
        assert_eq!(input(ty, &descriptors), json!({"*game.room_v1.Outer_Type.HTTPJoin": {"at": "int32"}}), "{ty}");
    }
    assert_eq!(input("hall::Leave", &descriptors), json!({"*game.hall.Leave": {}}));
    assert_eq!(input("Leave", &descriptors), json!({"Leave": {}}), "it could be either");
    assert_eq!(input("Doc", &descriptors), json!({"*game.hall.Doc": {}}));
}

#[test]
fn a_message_that_contains_itself_is_written_once() {
    let tree = message("Tree", vec![many(of("children", 1, Type::Message, ".protos.Tree"))]);
    let mut descriptors = Descriptors::default();
    descriptors.add(&set(vec![file("tree.proto", "protos", &[], vec![tree])])).expect("a set");
    assert_eq!(input("Tree", &descriptors), json!({"*protos.Tree": {"children": [{"*protos.Tree": {}}]}}));
}

/// pitaya-cli asks for what it finds behind an asterisk, and cannot read a file without those that it imports.
#[test]
fn imports_that_no_field_names_are_named_beside_the_routes() {
    let seats = EnumDescriptorProto { name: Some("Seat".to_owned()), ..Default::default() };
    let mut seat = file("seat.proto", "protos", &["deep.proto"], vec![]);
    seat.enum_type.push(seats);
    let files = vec![
        file("deep.proto", "protos", &["seat.proto"], vec![]),
        seat,
        file(
            "join.proto",
            "protos",
            &["seat.proto", "gone.proto"],
            vec![message("Join", vec![of("seat", 1, Type::Enum, ".protos.Seat")])],
        ),
        file("other.proto", "protos", &[], vec![message("Other", vec![])]),
    ];
    let mut descriptors = Descriptors::default();
    descriptors.add(&set(files)).expect("a set");
    let docs = described("Join", &descriptors);
    assert_eq!(docs["handlers"]["room.join"]["input"], json!({"*protos.Join": {"seat": "protos.Seat"}}));
    assert_eq!(docs["imports"], json!({"*deep.proto": {}, "*seat.proto": {}}));
}

#[test]
fn well_known_types_have_the_name_that_go_gave_them_too() {
    let time = file("google/protobuf/timestamp.proto", "google.protobuf", &[], vec![message("Timestamp", vec![])]);
    let mut descriptors = Descriptors::default();
    assert_eq!(descriptors.gzipped("types.Timestamp"), None);
    descriptors.add(&set(vec![time.clone()])).expect("a set");
    let file = descriptors.gzipped("types.Timestamp").expect("it is there");
    assert_eq!(FileDescriptorProto::decode(&*gunzipped(&file)), Ok(time));
}

/// An option that nobody here knows of: what is answered is what was given.
#[test]
fn a_file_comes_back_byte_for_byte() {
    let mut raw = file("a.proto", "protos", &[], vec![message("A", vec![])]).encode_to_vec();
    raw.extend([0xc2, 0x3e, 2, 0x08, 1]);
    let length = u8::try_from(raw.len()).expect("short");
    let mut descriptors = Descriptors::default();
    descriptors.add(&[&[0x0a, length], &raw[..]].concat()).expect("a set");
    assert_eq!(gunzipped(&descriptors.gzipped("protos.A").expect("it is there")), raw);
}

#[test]
fn what_is_no_set_is_refused_and_the_last_of_a_name_is_meant() {
    let refused = |bytes: &[u8]| Docs::new().descriptors(bytes).expect_err("no set");
    assert!(matches!(refused(b"syntax = \"proto3\";"), DescriptorError::Unreadable(_)));
    assert_eq!(refused(b"").to_string(), "the file descriptor set is empty: it has no files");
    assert_eq!(refused(&set(vec![FileDescriptorProto::default()])), DescriptorError::Unnamed);

    let a = |field| file("a.proto", "protos", &[], vec![message("A", vec![field])]);
    let mut descriptors = Descriptors::default();
    descriptors.add(&set(vec![a(field("old", 1, Type::Bool))])).expect("a set");
    descriptors.add(&set(vec![a(field("new", 1, Type::Bool))])).expect("a set");
    assert_eq!(input("A", &descriptors), json!({"*protos.A": {"new": "bool"}}));
}
