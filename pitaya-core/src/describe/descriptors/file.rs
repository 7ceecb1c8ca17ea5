//! Of `google/protobuf/descriptor.proto` what is needed to find a type by its name and to name its fields.

use bytes::Bytes;

/// `FileDescriptorSet`. The files stay as they are: what is not declared here would be lost by encoding them again.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) files: Vec<Bytes>,
}

/// `FileDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FileDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) package: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) imports: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(super) messages: Vec<MessageDescriptor>,
    #[prost(message, repeated, tag = "5")]
    pub(super) enums: Vec<EnumDescriptor>,
    #[prost(string, tag = "12")]
    pub(super) syntax: String,
}

/// `DescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MessageDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) fields: Vec<FieldDescriptor>,
    #[prost(message, repeated, tag = "3")]
    pub(super) nested: Vec<Self>,
    #[prost(message, repeated, tag = "4")]
    pub(super) enums: Vec<EnumDescriptor>,
    #[prost(message, optional, tag = "7")]
    pub(super) options: Option<MessageOptions>,
}

/// `FieldDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FieldDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "3")]
    pub(super) number: i32,
    #[prost(int32, tag = "4")]
    pub(super) label: i32,
    #[prost(int32, tag = "5")]
    pub(super) kind: i32,
    /// Of a message or an enum: its full name behind a dot.
    #[prost(string, tag = "6")]
    pub(super) type_name: String,
}

/// `EnumDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EnumDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// `MessageOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MessageOptions {
    /// Made by the compiler: one pair of a map.
    #[prost(bool, tag = "7")]
    pub(super) map_entry: bool,
}

/// `FieldDescriptorProto.Label`.
pub(super) const OPTIONAL: i32 = 1;
pub(super) const REPEATED: i32 = 3;
/// `FieldDescriptorProto.Type`.
pub(super) const GROUP: i32 = 10;
pub(super) const MESSAGE: i32 = 11;
pub(super) const BYTES: i32 = 12;
pub(super) const ENUM: i32 = 14;
pub(super) const STRING: i32 = 9;

/// The files of the messages with which documentation is asked for (`doc.proto` and `protodescriptor.proto` of
/// pitaya-protos).
pub(super) fn documentation() -> [FileDescriptor; 2] {
    let message = |name: &str, field: &str, label, kind| MessageDescriptor {
        name: name.to_owned(),
        fields: vec![FieldDescriptor { name: field.to_owned(), number: 1, label, kind, type_name: String::new() }],
        ..Default::default()
    };
    let file = |name: &str, messages| FileDescriptor {
        name: name.to_owned(),
        package: "protos".to_owned(),
        messages,
        syntax: "proto3".to_owned(),
        ..Default::default()
    };
    [
        file("doc.proto", vec![message("Doc", "doc", OPTIONAL, STRING)]),
        file(
            "protodescriptor.proto",
            vec![message("ProtoNames", "name", REPEATED, STRING), message("ProtoDescriptors", "desc", REPEATED, BYTES)],
        ),
    ]
}
