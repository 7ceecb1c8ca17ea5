//! Is a request of ours the one that Go sent?

use crate::bus::Heard;
use pitaya_core::cluster::envelope::{Request, RpcType, Session};
use pitaya_core::duration;
use pitaya_tests::vectors::Frame;
use prost::Message;
use serde_json::{Map, Value};
use std::time::Duration;

/// Who sends.
pub(crate) struct Sender<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
}

/// The object beside a request.
pub(crate) fn metadata(request: &Request) -> Map<String, Value> {
    serde_json::from_slice(&request.metadata).expect("a Go server dies of metadata that are no object")
}

/// Asserts that ours is the recorded one, byte for byte, when the recorded one has the id and the session's number of
/// ours, and ours' metadata; and that a Go server lives with these.
pub(crate) fn assert_same(ours: &Heard, recorded: &Frame, sender: &Sender<'_>) -> Request {
    let note = &recorded.case;
    assert!(!ours.reply.is_empty(), "{note}: Go answers everything, notifies too");
    let request = Request::decode(&ours.payload[..]).expect("a request");
    let mut wanted = Request::decode(&recorded.payload[..]).expect("a request");
    if let (Some(wanted), Some(ours)) = (&mut wanted.session, &request.session) {
        assert!(ours.id > 0, "{note}");
        wanted.id = ours.id;
        wanted.data = same_data(&wanted.data, &ours.data).into();
    }
    if let (Some(wanted), Some(ours)) = (&mut wanted.msg, &request.msg)
        && wanted.route == "sys.pushsession"
    {
        let mut named = Session::decode(&wanted.data[..]).expect("a session");
        let data = Session::decode(&ours.data[..]).expect("a session").data;
        // Where Go made a float of a number.
        named.data = same_data(&crate::script::exact(&named.data), &data).into();
        wanted.data = named.encode_to_vec().into();
    }
    // Go's frontends say who they are, its backends do not.
    assert_eq!(wanted.frontend_id.is_empty(), request.frontend_id.is_empty(), "{note}: {request:?}");
    if !wanted.frontend_id.is_empty() {
        wanted.frontend_id = sender.id.to_owned();
    }
    live_with(&metadata(&request), sender, note);
    wanted.metadata = request.metadata.clone();
    assert_eq!(wanted, request, "{note}");
    assert_eq!(wanted.encode_to_vec(), ours.payload, "{note}: the same bytes");
    request
}

/// The bytes of ours when they say what was recorded. The order of keys is free; and Go loses what it had put there itself
/// when the game replaces the data, ours does not.
fn same_data(recorded: &[u8], ours: &[u8]) -> Vec<u8> {
    let read = |json: &[u8]| serde_json::from_slice::<Map<String, Value>>(json).ok();
    let (Some(wanted), Some(mut said)) = (read(recorded), read(ours)) else { return recorded.to_vec() };
    if !wanted.contains_key("ipversion") {
        said.remove("ipversion");
    }
    if wanted == said { ours.to_vec() } else { recorded.to_vec() }
}

/// Go asserts these types without a question: a number where it wants a string ends its process.
fn live_with(metadata: &Map<String, Value>, sender: &Sender<'_>, note: &str) {
    let text =
        |key: &str| metadata.get(key).map(|value| value.as_str().unwrap_or_else(|| panic!("{note}: {key}: {value}")));
    assert_eq!(text("peer.id"), Some(sender.id), "{note}");
    assert_eq!(text("peer.service"), Some(sender.kind), "{note}");
    let timeout = duration::parse(text("reqTimeout").expect("a time-out")).expect("Go's notation");
    assert!(Duration::from_secs(4) < timeout && timeout <= Duration::from_secs(5), "{note}: {timeout:?}");
    text("request.id");
    text("req-route");
    assert!(metadata.get("req-start-time").is_none_or(Value::is_u64), "{note}: {metadata:?}");
}

/// Whether a request was made in the course of another: what names the client's request goes along.
pub(crate) fn assert_follows(request: &Request, of: &Frame, note: &str) {
    let origin = metadata(&Request::decode(&of.payload[..]).expect("a request"));
    let own = metadata(request);
    for key in ["request.id", "req-route", "req-start-time"] {
        assert_eq!(own.get(key), origin.get(key), "{note}: {key}");
    }
    assert_eq!(request.r#type, i32::from(RpcType::User), "{note}");
}
