//! The messages of documentation (`doc.proto` and `protodescriptor.proto` of pitaya-protos). In JSON bytes are base64, as
//! in Go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

/// What a server exposes.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct Doc {
    /// JSON.
    #[prost(string, tag = "1")]
    pub doc: String,
}

/// Names of protobuf types.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct ProtoNames {
    /// Full names, such as `protos.Doc`, or paths of files, such as `doc.proto`.
    #[prost(string, repeated, tag = "1")]
    #[serde(default)]
    pub name: Vec<String>,
}

/// The files that define them.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub struct ProtoDescriptors {
    /// One for each name, in the same order: a `FileDescriptorProto` compressed with gzip.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    #[serde(serialize_with = "base64")]
    pub desc: Vec<Bytes>,
}

fn base64<S: Serializer>(files: &[Bytes], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(files.iter().map(|file| STANDARD.encode(file)))
}
