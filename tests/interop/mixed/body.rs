//! The bytes that bodies must be, written here a second time: what a server is held to is not what made its answer.

use serde_json::json;

/// What clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Json,
    Protobuf,
}

impl Codec {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
    }

    /// `TestRequest`.
    pub(crate) fn request(self, msg: &str) -> Vec<u8> {
        match self {
            Self::Json => format!(r#"{{"msg":{}}}"#, json!(msg)).into_bytes(),
            Self::Protobuf => text(1, msg),
        }
    }

    /// `TestResponse`.
    pub(crate) fn response(self, code: u8, msg: &str) -> Vec<u8> {
        match self {
            Self::Json => format!(r#"{{"code":{code},"msg":{}}}"#, json!(msg)).into_bytes(),
            Self::Protobuf => {
                let mut bytes = vec![1 << 3];
                varint(code.into(), &mut bytes);
                bytes.extend(text(2, msg));
                bytes
            }
        }
    }

    /// The body of an error; with one entry of metadata at most, since their order is free in protobuf.
    pub(crate) fn error(self, code: &str, msg: &str, metadata: Option<(&str, &str)>) -> Vec<u8> {
        match (self, metadata) {
            (Self::Json, None) => format!(r#"{{"code":"{code}","msg":{}}}"#, json!(msg)).into_bytes(),
            (Self::Json, Some((key, value))) => {
                format!(r#"{{"code":"{code}","msg":{},"metadata":{{"{key}":"{value}"}}}}"#, json!(msg)).into_bytes()
            }
            (Self::Protobuf, metadata) => {
                let mut bytes = [text(1, code), text(2, msg)].concat();
                if let Some((key, value)) = metadata {
                    bytes.extend(field(3, &[text(1, key), text(2, value)].concat()));
                }
                bytes
            }
        }
    }

    /// A step of a player: uid `ann`, sequence 7, position 1.5 and 2, act `p`.
    pub(crate) fn step(self, uid: &str) -> Vec<u8> {
        match self {
            Self::Json => format!(r#"{{"uid":{},"seq":7,"pos":[1.5,2],"act":"p"}}"#, json!(uid)).into_bytes(),
            Self::Protobuf => {
                let pos = [1.5f64.to_le_bytes(), 2f64.to_le_bytes()].concat();
                [text(1, uid), vec![2 << 3, 7], field(3, &pos), text(4, "p")].concat()
            }
        }
    }
}

/// Text that begins the body of an error: its code. For errors whose text is a decoder's own.
pub(crate) fn starts_with_code(codec: Codec, body: &[u8], code: &str) -> bool {
    match codec {
        Codec::Json => body.starts_with(format!(r#"{{"code":"{code}","#).as_bytes()),
        Codec::Protobuf => body.starts_with(&text(1, code)),
    }
}

fn text(number: u8, value: &str) -> Vec<u8> {
    field(number, value.as_bytes())
}

/// A field with a length. Absent when empty, as in every proto3 message.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    if value.is_empty() {
        return Vec::new();
    }
    let mut bytes = vec![number << 3 | 2];
    varint(value.len(), &mut bytes);
    bytes.extend(value);
    bytes
}

fn varint(mut value: usize, bytes: &mut Vec<u8>) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
