//! JSON, the default of handlers.

use super::{Codec, SerdeCodec};
use crate::error::{Error, Result};
use serde::ser::{SerializeMap, Serializer as _};

/// The JSON serializer, named `json` in the handshake.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Codec for Json {
    const NAME: &'static str = "json";
    const NULL: Option<&'static [u8]> = Some(b"null");
    const UNIT: &'static [u8] = b"{}";
}

impl SerdeCodec for Json {
    #[inline]
    fn from_slice<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
        serde_json::from_slice(body).map_err(|e| Error::bad_request(e.to_string()))
    }

    #[inline]
    fn to_vec<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(serde_json::to_writer(out, value)?)
    }
}

/// `{"code":..,"msg":..,"metadata":{..}}`, each key left out when empty, in this order: what Go marshals.
pub(super) fn encode_error(error: &Error, out: &mut Vec<u8>) {
    let mut write = || -> std::result::Result<(), serde_json::Error> {
        let mut writer = serde_json::Serializer::new(&mut *out);
        let mut map = writer.serialize_map(None)?;
        if !error.code().is_empty() {
            map.serialize_entry("code", error.code())?;
        }
        if !error.message().is_empty() {
            map.serialize_entry("msg", error.message())?;
        }
        if let Some(metadata) = error.metadata() {
            map.serialize_entry("metadata", metadata)?;
        }
        map.end()
    };
    // Strings into a Vec: neither a key nor the writer can fail.
    if let Err(e) = write() {
        tracing::error!("an error answer could not be written: {e}");
    }
}
