//! The messages of the suites, each in JSON and in protobuf.

use serde::{Deserialize, Serialize, Serializer};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct TestRequest {
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub msg: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct TestResponse {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub msg: String,
}

impl TestResponse {
    pub fn ok(msg: impl Into<String>) -> Self {
        Self { code: 200, msg: msg.into() }
    }
}

/// A player moves.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct Move {
    #[prost(string, tag = "1")]
    pub uid: String,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    #[prost(double, repeated, tag = "3")]
    #[serde(serialize_with = "as_go")]
    pub pos: Vec<f64>,
    #[prost(string, tag = "4")]
    pub act: String,
}

/// Go writes 2.0 as `2`, and answers are compared byte by byte.
fn as_go<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Number {
        Whole(i64),
        Other(f64),
    }
    // Every whole number of this size has an exact i64.
    let whole = |n: f64| n.fract() == 0.0 && n.abs() < 9e15;
    serializer.collect_seq(numbers.iter().map(|&n| if whole(n) { Number::Whole(n as i64) } else { Number::Other(n) }))
}

/// `testsendtousers`: always JSON, whatever the serializer.
#[derive(Deserialize)]
pub struct SendToUsers {
    pub uids: Vec<String>,
    pub msg: String,
}

/// `testsendrpc`: always JSON, whatever the serializer.
#[derive(Deserialize)]
pub struct SendRpc {
    pub route: String,
    #[serde(default)]
    pub data: String,
}

/// `rpcto`: always JSON, whatever the serializer.
#[derive(Deserialize)]
pub struct RpcTo {
    pub id: String,
    /// `type.service.method`.
    pub route: String,
    pub data: String,
}
