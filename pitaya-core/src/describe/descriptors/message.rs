//! A message, as far as documentation tells of it.

use super::file::{BYTES, ENUM, FieldDescriptor, FileDescriptor, GROUP, MESSAGE, MessageDescriptor, REPEATED, STRING};

#[derive(Debug, Clone)]
pub(in crate::describe) struct Message {
    /// Package, outer messages and name, each in plain letters.
    pub(super) path: Vec<String>,
    /// How many parts of the path a Rust name must have in common with it, counted from the end.
    pub(super) needed: usize,
    pub(in crate::describe) fields: Vec<Field>,
    /// One pair of a map: its fields are the key and the value.
    pub(in crate::describe) is_pair: bool,
}

#[derive(Debug, Clone)]
pub(in crate::describe) struct Field {
    pub(in crate::describe) name: String,
    pub(in crate::describe) is_repeated: bool,
    pub(in crate::describe) ty: Type,
}

#[derive(Debug, Clone)]
pub(in crate::describe) enum Type {
    /// In Go's words.
    Scalar(&'static str),
    Bytes,
    /// Full names.
    Enum(String),
    Message(String),
}

/// A part of a path without what sets a name in a proto file apart from the Rust name that is made from it.
pub(super) fn plain(part: &str) -> String {
    let part = part.trim().trim_start_matches("r#");
    part.chars().filter(|&c| c != '_').flat_map(char::to_lowercase).collect()
}

/// All types of a file by full name; an enum has nothing more.
pub(super) fn of(file: &FileDescriptor) -> Vec<(String, Option<Message>)> {
    let mut all = Vec::new();
    let package: Vec<&str> = file.package.split('.').filter(|part| !part.is_empty()).collect();
    all.extend(file.enums.iter().map(|e| (full(&package, &e.name), None)));
    for message in &file.messages {
        collect(&package, message, &mut all);
    }
    all
}

fn collect(outer: &[&str], message: &MessageDescriptor, all: &mut Vec<(String, Option<Message>)>) {
    let path = [outer, &[&*message.name]].concat();
    all.extend(message.enums.iter().map(|e| (full(&path, &e.name), None)));
    for nested in &message.nested {
        collect(&path, nested, all);
    }
    let described = Message {
        path: path.iter().map(|part| plain(part)).collect(),
        fields: message.fields.iter().map(field).collect(),
        needed: 1,
        is_pair: message.options.as_ref().is_some_and(|options| options.map_entry),
    };
    all.push((path.join("."), Some(described)));
}

fn full(outer: &[&str], name: &str) -> String {
    [outer, &[name]].concat().join(".")
}

fn field(field: &FieldDescriptor) -> Field {
    let type_name = || field.type_name.trim_start_matches('.').to_owned();
    let ty = match field.kind {
        GROUP | MESSAGE => Type::Message(type_name()),
        ENUM => Type::Enum(type_name()),
        BYTES => Type::Bytes,
        STRING => Type::Scalar("string"),
        1 => Type::Scalar("float64"),
        2 => Type::Scalar("float32"),
        // int64, sfixed64, sint64
        3 | 16 | 18 => Type::Scalar("int64"),
        // uint64, fixed64
        4 | 6 => Type::Scalar("uint64"),
        // int32, sfixed32, sint32
        5 | 15 | 17 => Type::Scalar("int32"),
        // uint32, fixed32
        7 | 13 => Type::Scalar("uint32"),
        8 => Type::Scalar("bool"),
        _ => Type::Scalar("interface {}"),
    };
    Field { name: field.name.clone(), is_repeated: field.label == REPEATED, ty }
}
