//! When do two packets mean the same?

use crate::client::Received;
use pitaya_core::codes;
use pitaya_core::wire::{MIN_COMPRESS, MessageKind, PacketKind, packet};
use serde_json::{Value, json};

/// Texts of Go's decoders: ours have their own, which may be any.
pub const GO_DECODERS: [&str; 2] = ["unexpected end of JSON input", "proto: cannot parse invalid wire-format data"];

/// How the bodies of messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// `json`
    Json,
    /// `protobuf`
    Protobuf,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtobufError {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(string, tag = "2")]
    msg: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: std::collections::HashMap<String, String>,
}

/// What a packet says, without what may differ: the order of JSON keys, compression, the words of a decoder.
#[derive(Debug, PartialEq)]
enum Meaning {
    Message { kind: MessageKind, id: u64, route: String, error: bool, body: Body },
    Other(u8, Body),
}

#[derive(Debug, PartialEq)]
enum Body {
    Json(Value),
    Bytes(Vec<u8>),
}

impl Codec {
    /// As a server's setting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
    }

    fn meaning(self, packet: &[u8]) -> Meaning {
        if packet[0] != PacketKind::Data as u8 {
            let mut body = json_or_bytes(packet[packet::HEADER..].to_vec());
            // A refusal says why, which Go's does not: a wanted difference.
            if let Body::Json(Value::Object(document)) = &mut body
                && document.get("code") == Some(&json!(400))
            {
                document.remove("message");
            }
            // Go tells a replaced session nothing: a wanted difference, of this kick and no other.
            if packet[0] == PacketKind::Kick as u8 && is_replaced(&body) {
                body = Body::Bytes(Vec::new());
            }
            return Meaning::Other(packet[0], body);
        }
        let Received { kind, id, route, error, body, .. } = Received::from_packet(packet);
        let body = match self {
            _ if error => Body::Json(self.error(&body)),
            Self::Json => json_or_bytes(body),
            Self::Protobuf => Body::Bytes(body),
        };
        Meaning::Message { kind, id, route, error, body }
    }

    /// An error's code, text and metadata, in the form of JSON.
    fn error(self, body: &[u8]) -> Value {
        match self {
            Self::Json => serde_json::from_slice(body).expect("an error is JSON"),
            Self::Protobuf => {
                let error: ProtobufError = prost::Message::decode(body).expect("an error is protobuf");
                match error.metadata.is_empty() {
                    true => json!({ "code": error.code, "msg": error.msg }),
                    false => json!({ "code": error.code, "msg": error.msg, "metadata": error.metadata }),
                }
            }
        }
    }
}

impl Meaning {
    /// The text, if this is an error.
    fn text(&mut self) -> Option<&mut Value> {
        match self {
            Self::Message { error: true, body: Body::Json(error), .. } => error.get_mut("msg"),
            _ => None,
        }
    }
}

/// Whether this is the reason of a session that a newer login replaced: its code, a text, and nothing else.
fn is_replaced(body: &Body) -> bool {
    let Body::Json(Value::Object(reason)) = body else { return false };
    let text = reason.get("message").and_then(Value::as_str).unwrap_or_default();
    reason.len() == 2 && reason.get("code") == Some(&json!(codes::REPLACED)) && !text.is_empty()
}

fn json_or_bytes(body: Vec<u8>) -> Body {
    serde_json::from_slice(&body).map_or(Body::Bytes(body), Body::Json)
}

/// Asserts that ours means what was recorded, and that ours is compressed exactly when it should be.
///
/// # Panics
/// When it is not so.
#[track_caller]
pub fn assert_same(ours: &[u8], recorded: &[u8], codec: Codec, compress: bool, note: &str) {
    let (mut said, mut wanted) = (codec.meaning(ours), codec.meaning(recorded));
    if let (Some(said), Some(wanted)) = (said.text(), wanted.text())
        && GO_DECODERS.iter().any(|text| wanted == text)
    {
        assert!(said.as_str().is_some_and(|text| !text.is_empty()), "{note}: {said}");
        *wanted = said.clone();
    }
    assert_eq!(said, wanted, "{note}");
    if ours[0] == PacketKind::Data as u8 {
        let (ours, recorded) = (Received::from_packet(ours), Received::from_packet(recorded));
        let wanted = compress && recorded.compressed && recorded.body.len() >= MIN_COMPRESS;
        assert_eq!(ours.compressed, wanted, "{note}: compressed");
    }
}
