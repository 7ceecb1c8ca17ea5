//! Values that an app keeps with a session.

use crate::error::{Error, Result};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A map of JSON values. It travels to other servers as one JSON object, and what was put in comes out again: an `i64`
/// stays an `i64`, however large.
///
/// ```
/// # use pitaya_core::session::SessionData;
/// let data = SessionData::default();
/// data.set("gold", 9_007_199_254_740_993_i64)?;
/// assert_eq!(data.get::<i64>("gold")?, Some(9_007_199_254_740_993));
/// assert_eq!(data.get::<i64>("silver")?, None);
/// assert!(data.get::<String>("gold").is_err());
/// # Ok::<(), pitaya_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct SessionData(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    values: Map<String, Value>,
    /// The values as JSON, until the next change.
    encoded: Option<Bytes>,
}

impl SessionData {
    /// Stores a value under a key.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn set(&self, key: impl Into<String>, value: impl Serialize) -> Result<()> {
        let (key, value) = (key.into(), serde_json::to_value(value)?);
        self.change(|values| values.insert(key, value));
        Ok(())
    }

    /// The value under a key.
    ///
    /// # Errors
    /// PIT-000 naming the key when the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.0.lock().values.get(key).cloned() else { return Ok(None) };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|e| Error::new(crate::codes::UNKNOWN, format!("session data `{key}`: {e}")))
    }

    /// Whether there is a value under a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.lock().values.contains_key(key)
    }

    /// Takes the value under a key away; false when there was none.
    pub fn remove(&self, key: &str) -> bool {
        self.change(|values| values.remove(key).is_some())
    }

    /// Takes everything away.
    pub fn clear(&self) {
        self.change(Map::clear);
    }

    /// A copy of everything.
    #[must_use]
    pub fn all(&self) -> Map<String, Value> {
        self.0.lock().values.clone()
    }

    /// Puts these values in place of all there were.
    pub fn replace(&self, values: Map<String, Value>) {
        self.change(|old| *old = values);
    }

    /// The values as one JSON object, keys sorted. Encoded once per change.
    #[must_use]
    pub fn encoded(&self) -> Bytes {
        let mut inner = self.0.lock();
        if let Some(encoded) = &inner.encoded {
            return encoded.clone();
        }
        // A map of strings to JSON values always has a JSON form.
        let encoded: Bytes = serde_json::to_vec(&inner.values).unwrap_or_else(|_| b"{}".to_vec()).into();
        inner.encoded = Some(encoded.clone());
        encoded
    }

    /// Replaces everything with the values of a JSON object.
    ///
    /// # Errors
    /// PIT-400 when the bytes are not a JSON object; the data are as before.
    pub fn replace_encoded(&self, json: &[u8]) -> Result<()> {
        let values = serde_json::from_slice(json).map_err(|e| Error::bad_request(e.to_string()))?;
        self.replace(values);
        Ok(())
    }

    fn change<R>(&self, f: impl FnOnce(&mut Map<String, Value>) -> R) -> R {
        let mut inner = self.0.lock();
        inner.encoded = None;
        f(&mut inner.values)
    }
}
