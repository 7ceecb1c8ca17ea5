//! What lies in etcd, read through its JSON gateway.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// The keys that begin so, and their values, in the order of keys.
pub(crate) fn range(prefix: &str) -> Vec<(String, String)> {
    let end = {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().expect("a prefix") += 1;
        end
    };
    let answer = post("/v3/kv/range", &json!({ "key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end) }));
    assert!(answer["error"].is_null(), "{prefix}: {answer}");
    let text = |value: &Value| {
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64");
        String::from_utf8(bytes).expect("text")
    };
    let entries = answer["kvs"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| (text(&entry["key"]), text(&entry["value"]))).collect()
}

fn post(path: &str, body: &Value) -> Value {
    let address = std::env::var("PITAYA_CLUSTER_SD_ETCD_ENDPOINTS").expect("the script says where etcd is");
    let mut stream = TcpStream::connect(&address).unwrap_or_else(|e| panic!("etcd at {address}: {e}"));
    stream.set_read_timeout(Some(pitaya_tests::PATIENCE)).expect("a socket can be given a deadline");
    let body = body.to_string();
    // The old version: the answer is whole when the connection ends.
    write!(stream, "POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("etcd reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("etcd answers");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer}"));
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{path}: {answer}: {e}"))
}
