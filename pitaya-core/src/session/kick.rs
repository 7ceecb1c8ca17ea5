//! Why a client is kicked, as the client learns it.

use crate::error::{Error, Result, codes};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Reason of a kick: a code for programs, a message for people, and optional data. It is the JSON body of the kick,
/// `{"code":"BAN-1","message":"banned until Monday","data":{"days":3}}`, and travels between servers as that.
///
/// ```
/// use pitaya_core::KickReason;
///
/// let reason = KickReason::new("BAN-1", "banned until Monday").with_data(&serde_json::json!({"days": 3}))?;
/// assert_eq!((reason.code(), reason.message()), ("BAN-1", "banned until Monday"));
/// assert_eq!(reason.to_json()["data"]["days"], 3);
/// # Ok::<(), pitaya_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KickReason(Arc<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    code: String,
    message: String,
    data: Option<Value>,
}

impl KickReason {
    /// The most bytes of data, encoded. A kick is a last word and no transport of state.
    pub const MAX_DATA: usize = 16 * 1024;
    /// The most bytes of code and message each. The rest is cut off: the kick counts.
    pub const MAX_TEXT: usize = 1024;

    /// A reason without data.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Arc::new(Parts { code: cut(code.into()), message: cut(message.into()), data: None }))
    }

    /// Adds data that the client finds under `data`.
    ///
    /// # Errors
    /// PIT-400 when the data have no form in JSON, or one of more than [`MAX_DATA`](Self::MAX_DATA) bytes.
    pub fn with_data<T: Serialize + ?Sized>(mut self, data: &T) -> Result<Self> {
        let data = serde_json::to_value(data).map_err(|e| Error::bad_request(format!("data of a kick: {e}")))?;
        let length = data.to_string().len();
        if length > Self::MAX_DATA {
            let text = format!("data of a kick take {length} bytes, and at most {} are sent", Self::MAX_DATA);
            return Err(Error::bad_request(text));
        }
        Arc::make_mut(&mut self.0).data = Some(data);
        Ok(self)
    }

    /// Another session of the user was bound.
    #[must_use]
    pub fn replaced() -> Self {
        Self::new(codes::REPLACED, "replaced by a newer login")
    }

    /// Code for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Data that the game added.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        self.0.data.as_ref()
    }

    /// Body of the kick.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Parts { code, message, data } = &*self.0;
        let mut json = json!({ "code": code, "message": message });
        if let Some(data) = data {
            json["data"] = data.clone();
        }
        json
    }

    /// Reads the body of a kick. `None` unless it is an object with a code and a message, as
    /// [`to_json`](Self::to_json) writes it.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |key| json.get(key)?.as_str().map(|text: &str| cut(text.to_owned()));
        let data = json.get("data").filter(|data| !data.is_null()).cloned();
        Some(Self(Arc::new(Parts { code: text("code")?, message: text("message")?, data })))
    }

    /// Encodes it for another server.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Decodes what another server sent. `None` for nothing, and for what is none: the kick counts.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > 2 * Self::MAX_DATA {
            return None;
        }
        Self::from_json(&serde_json::from_slice(bytes).ok()?)
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(KickReason::MAX_TEXT));
    text
}

impl fmt::Display for KickReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code().escape_debug(), self.message().escape_debug())
    }
}

impl fmt::Debug for KickReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_behind_the_wire() {
        let plain = KickReason::new("BAN-1", "banned");
        assert_eq!(plain.to_json().to_string(), r#"{"code":"BAN-1","message":"banned"}"#);
        let data = plain.clone().with_data(&json!({"days": 3})).expect("short");
        for reason in [plain, data] {
            assert_eq!(KickReason::decode(&reason.encode()), Some(reason));
        }
        for other in ["", "x", "null", "{}", r#"{"code":1,"message":"x"}"#, r#"{"code":"x"}"#] {
            assert_eq!(KickReason::decode(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let reason = KickReason::new("c", "ä".repeat(1000));
        assert_eq!(reason.message(), "ä".repeat(512));
        let error = reason.clone().with_data(&"x".repeat(KickReason::MAX_DATA)).expect_err("too long");
        assert_eq!(error.code(), "PIT-400");
        let longest = reason.with_data(&"\u{1}".repeat(KickReason::MAX_DATA / 6 - 1)).expect("it fits");
        assert_eq!(KickReason::decode(&longest.encode()), Some(longest));
    }
}
