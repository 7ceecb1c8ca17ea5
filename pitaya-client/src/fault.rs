//! The body of an error answer, read with the serializer the server announced.

use std::collections::BTreeMap;

use pitaya_core::error::codes;
use pitaya_core::{Codec, Error, Protobuf};
use prost::Message;
use serde::Deserialize;

/// `protos.Error` of Go Pitaya, and the JSON it writes: each key may be missing.
#[derive(Deserialize, Message)]
struct Body {
    #[serde(default)]
    #[prost(string, tag = "1")]
    code: String,
    #[serde(default)]
    #[prost(string, tag = "2")]
    msg: String,
    #[serde(default)]
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// The error in the body. Serializers of an application's own write errors as JSON. What cannot be read is an error
/// all the same, and becomes one without a code.
pub(crate) fn decode(serializer: &str, body: &[u8]) -> Error {
    let read = match serializer {
        Protobuf::NAME => Body::decode(body).ok(),
        _ => pitaya_core::json::read(body).ok(),
    };
    let Some(Body { code, msg, metadata }) = read else {
        let text = String::from_utf8_lossy(body);
        return Error::new(codes::UNKNOWN, format!("an error that is no {serializer}: {text}"));
    };
    metadata.into_iter().fold(Error::new(code, msg), |error, (key, value)| error.with(key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pitaya_core::Json;

    #[test]
    fn what_servers_write_is_read() {
        let error = Error::new("PIT-404", "nf").with("k", "v");
        let mut body = Vec::new();
        Json::encode_error(&error, &mut body);
        assert_eq!(decode("json", &body), error);
        assert_eq!(decode("my own", &body), error);
        body.clear();
        Protobuf::encode_error(&error, &mut body);
        assert_eq!(decode("protobuf", &body), error);
    }

    #[test]
    fn the_unreadable_is_still_an_error() {
        assert_eq!(decode("json", b"oops"), Error::new("PIT-000", "an error that is no json: oops"));
        assert_eq!(decode("json", br#"{"code":"X"}"#), Error::new("X", ""));
    }
}
