//! JSON, the default of handlers, in three kinds that differ in what they read: [`Json`], [`StrictJson`] and [`GoJson`].

use super::{Codec, SerdeCodec};
use crate::error::{Error, Result};
use crate::json::{read, read_any_case};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap, Serializer as _};

/// The JSON serializer, named `json` in the handshake.
///
/// It reads what Go's `encoding/json` reads from clients that write broken texts: bytes that are no UTF-8 and escapes of
/// half a character (`"\ud83d"`) become U+FFFD, and of a repeated name the last one counts. Characters that JavaScript
/// clients send as two surrogates of three bytes each (CESU-8) are the characters they mean. A valid body costs nothing
/// more; see [`StrictJson`] for a reader that refuses all of this, and [`GoJson`] for one that takes names in any case.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

/// [`Json`] that refuses broken texts, with PIT-400. Its name in the handshake is `json` too.
///
/// ```
/// use pitaya_core::{Json, SerdeCodec, StrictJson};
///
/// let half = br#""\ud83d""#;
/// assert_eq!(Json::from_slice::<String>(half).unwrap(), "\u{fffd}");
/// assert_eq!(StrictJson::from_slice::<String>(half).unwrap_err().code(), "PIT-400");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct StrictJson;

/// [`Json`] that finds the fields of structs as Go's `encoding/json` does: by their exact name, else without regard to
/// case. Its name in the handshake is `json` too.
///
/// Aliases count as names. It works wherever serde knows the fields of a struct: nested, in options, lists and maps, and in
/// variants of enums. It cannot work behind `#[serde(flatten)]` and in internally tagged (`tag = ".."`) or untagged enums,
/// whose content serde collects before it knows the fields: names there must be exact. Keys of maps and names of variants
/// are always exact.
///
/// ```
/// use pitaya_core::{GoJson, SerdeCodec};
///
/// #[derive(serde::Deserialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct SessionData { data: String }
///
/// let read: SessionData = GoJson::from_slice(br#"{"data":"as a Go server takes it"}"#).unwrap();
/// assert_eq!(read.data, "as a Go server takes it");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GoJson;

impl Codec for Json {
    const NAME: &'static str = "json";
    const NULL: Option<&'static [u8]> = Some(b"null");
    const UNIT: &'static [u8] = b"{}";
}

impl SerdeCodec for Json {
    #[inline]
    fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
        read(body).map_err(|e| Error::bad_request(e.to_string()))
    }

    #[inline]
    fn to_vec<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(serde_json::to_writer(out, value)?)
    }
}

impl Codec for StrictJson {
    const NAME: &'static str = "json";
    const NULL: Option<&'static [u8]> = Some(b"null");
    const UNIT: &'static [u8] = b"{}";
}

impl SerdeCodec for StrictJson {
    #[inline]
    fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
        serde_json::from_slice(body).map_err(|e| Error::bad_request(e.to_string()))
    }

    #[inline]
    fn to_vec<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(serde_json::to_writer(out, value)?)
    }
}

impl Codec for GoJson {
    const NAME: &'static str = "json";
    const NULL: Option<&'static [u8]> = Some(b"null");
    const UNIT: &'static [u8] = b"{}";
}

impl SerdeCodec for GoJson {
    #[inline]
    fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
        read_any_case(body).map_err(|e| Error::bad_request(e.to_string()))
    }

    #[inline]
    fn to_vec<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
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
