//! What travels beside a call: one flat JSON object, Go's propagated context (`pkg/context/context.go`).

use crate::duration;
use crate::rpc::Metadata;
use serde_json::Value;
use std::time::Duration;

/// The id of the sender, overwritten by each.
pub const PEER_ID: &str = "peer.id";
/// The server type of the sender, overwritten by each.
pub const PEER_SERVICE: &str = "peer.service";
/// How long the sender waits: a string in Go's notation for durations. A number kills a Go server.
pub const REQUEST_TIMEOUT: &str = "reqTimeout";
/// One name for a client's request on all servers it comes by.
pub const REQUEST_ID: &str = "request.id";
/// The trace it belongs to: an object of texts, `traceparent`, `tracestate` and `baggage` of W3C (`pkg/constants/const.go`,
/// `SpanPropagateCtxKey`).
pub const SPAN: &str = "otel-span";

/// Who sends, and how long that waits.
#[derive(serde::Serialize)]
struct Sender<'a> {
    #[serde(rename = "peer.id")]
    id: &'a str,
    #[serde(rename = "peer.service")]
    kind: &'a str,
    #[serde(rename = "reqTimeout")]
    timeout: String,
}

/// The bytes for a receiver: these values, with the sender and its time-out in place of those that came with them.
#[must_use]
pub fn encode(values: &Metadata, id: &str, kind: &str, timeout: Duration) -> Vec<u8> {
    if values.is_empty() {
        // Most calls bring nothing: no map is made for these.
        let sender = Sender { id, kind, timeout: duration::format(timeout) };
        return serde_json::to_vec(&sender).unwrap_or_else(|_| b"{}".to_vec());
    }
    let mut all = values.clone();
    all.insert(PEER_ID.to_owned(), id.into());
    all.insert(PEER_SERVICE.to_owned(), kind.into());
    // Never "0s": what has no time left is not sent.
    all.insert(REQUEST_TIMEOUT.to_owned(), duration::format(timeout).into());
    serde_json::to_vec(&all).unwrap_or_else(|_| b"{}".to_vec())
}

/// The bytes of what one call says beside what all calls of its sender do: no more than these constants, and who sends it
/// and how long that waits. `None` where there is nothing.
#[must_use]
pub fn beside(values: &Metadata, constant: &Metadata) -> Option<Vec<u8>> {
    let own = |key: &str, value: &Value| {
        !matches!(key, PEER_ID | PEER_SERVICE | REQUEST_TIMEOUT) && constant.get(key) != Some(value)
    };
    let mut rest = values.iter().filter(|(key, value)| own(key, value)).peekable();
    rest.peek()?;
    let rest: Metadata = rest.map(|(key, value)| (key.clone(), value.clone())).collect();
    serde_json::to_vec(&rest).ok()
}

/// Reads what a sender wrote.
///
/// # Errors
/// A text for the sender when it is not a JSON object.
pub fn decode(json: &[u8]) -> Result<Metadata, String> {
    if json.is_empty() {
        return Err("no context found".to_owned());
    }
    crate::json::read(json).map_err(|e| format!("the metadata are no JSON object: {e}"))
}

/// How long the sender waits, if it says so in a way that can be read.
#[must_use]
pub fn timeout(values: &Metadata) -> Option<Duration> {
    values.get(REQUEST_TIMEOUT).and_then(Value::as_str).and_then(|text| duration::parse(text).ok())
}

/// A text among the values.
#[must_use]
pub fn text<'a>(values: &'a Metadata, key: &str) -> Option<&'a str> {
    values.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: &Value) -> Metadata {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_sender_is_written_the_same_with_and_without_values() {
        let (id, timeout) = ("a\"1", Duration::from_millis(1500));
        let none = decode(&encode(&Metadata::new(), id, "room", timeout)).expect("an object");
        let mut some = decode(&encode(&map(&json!({ "k": "v" })), id, "room", timeout)).expect("an object");
        assert_eq!(some.remove("k"), Some("v".into()));
        assert_eq!(none, some);
        assert_eq!(none, map(&json!({ "peer.id": id, "peer.service": "room", "reqTimeout": "1.5s" })));
    }

    #[test]
    fn broken_texts_are_read_as_in_go() {
        let read = decode(b"{\"a\":\"caf\xe9\",\"b\":\"\\ude02\",\"c\":1,\"c\":2}").expect("an object");
        assert_eq!(read, map(&json!({ "a": "caf\u{fffd}", "b": "\u{fffd}", "c": 2 })));
    }

    #[test]
    fn beside_the_constants_nothing_is_said_twice() {
        let constant = map(&json!({ "a": "1", "b": "2" }));
        let same = json!({ "a": "1", "peer.id": "x", "peer.service": "y", "reqTimeout": "1s" });
        assert_eq!(beside(&map(&same), &constant), None);
        let own = beside(&map(&json!({ "a": "1", "b": "3", "c": {}, "peer.id": "x" })), &constant);
        assert_eq!(decode(&own.expect("more")).expect("an object"), map(&json!({ "b": "3", "c": {} })));
    }
}
