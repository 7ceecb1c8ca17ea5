//! Protocol buffers, through `prost`.

use super::{Codec, Decode, Encode};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// The protobuf serializer, named `protobuf` in the handshake.
#[derive(Debug, Clone, Copy, Default)]
pub struct Protobuf;

/// `protos.Error` of Go Pitaya: the body of an error answer.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorBody {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(string, tag = "2")]
    msg: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

impl Codec for Protobuf {
    const NAME: &'static str = "protobuf";

    fn encode_error(error: &Error, out: &mut Vec<u8>) {
        let body = ErrorBody {
            code: error.code().to_owned(),
            msg: error.message().to_owned(),
            metadata: error.metadata().cloned().unwrap_or_default(),
        };
        prost::Message::encode_raw(&body, out);
    }
}

#[diagnostic::do_not_recommend]
impl<T: prost::Message + Default> Decode<Protobuf> for T {
    #[inline]
    fn decode(body: &[u8]) -> Result<Self> {
        T::decode(body).map_err(|e| Error::bad_request(e.to_string()))
    }
}

#[diagnostic::do_not_recommend]
impl<T: prost::Message> Encode<Protobuf> for T {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        prost::Message::encode_raw(self, out);
        Ok(())
    }
}
