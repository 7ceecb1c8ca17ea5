//! Values that an app keeps with a session.

use crate::error::{Error, Result};
use crate::json::read;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

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
    /// Go's own value among them, which the app does not see: the index of one of [`IPS`].
    ip: Option<u8>,
    /// Nothing as long as nothing was stored or asked for: an idle session is small.
    kept: Option<Box<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    values: Map<String, Value>,
    /// The values as JSON, until the next change.
    encoded: Option<Bytes>,
    /// The same with Go's own value.
    wire: Option<Bytes>,
    /// What came from another server and has not been looked at.
    unread: Option<Bytes>,
}

/// Under this key Go keeps `ipv4` or `ipv6` among the data of a session (`constants.IPVersionKey`).
const IP_VERSION: &str = "ipversion";
const IPS: [&str; 2] = ["ipv4", "ipv6"];
/// What most sessions of a cluster have: no more than what Go puts there.
const USUAL: [&[u8]; 3] = [br#"{"ipversion":"ipv4"}"#, br#"{"ipversion":"ipv6"}"#, b"{}"];

impl Inner {
    /// What is kept, after a look at what came from elsewhere.
    fn read(&mut self) -> &mut Kept {
        let kept = self.kept.get_or_insert_default();
        if let Some(unread) = kept.unread.take() {
            // `from_wire` has looked at all of it.
            kept.values = serde_json::from_slice(&unread).unwrap_or_default();
            self.ip = take_ip(&mut kept.values);
        }
        kept
    }

    /// The value under a key. Where nothing is kept, nothing is made to look at.
    fn get(&mut self, key: &str) -> Option<&Value> {
        self.kept.as_ref()?;
        self.read().values.get(key)
    }
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
        let Some(value) = self.0.lock().get(key).cloned() else { return Ok(None) };
        // Every number that a Go server has held is a float by then.
        let whole = value.as_f64().filter(|_| value.is_f64()).filter(|n| n.fract() == 0.0 && n.abs() < 2_f64.powi(63));
        serde_json::from_value(value)
            .or_else(|e| whole.map_or(Err(e), |n| serde_json::from_value((n as i64).into())))
            .map(Some)
            .map_err(|e| Error::new(crate::codes::UNKNOWN, format!("session data `{key}`: {e}")))
    }

    /// Whether there is a value under a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.lock().get(key).is_some()
    }

    /// Takes the value under a key away; false when there was none.
    pub fn remove(&self, key: &str) -> bool {
        self.change(|values| values.remove(key).is_some())
    }

    /// Takes everything away.
    pub fn clear(&self) {
        self.replace(Map::new());
    }

    /// A copy of everything.
    #[must_use]
    pub fn all(&self) -> Map<String, Value> {
        self.0.lock().read().values.clone()
    }

    /// Puts these values in place of all there were.
    pub fn replace(&self, values: Map<String, Value>) {
        let mut inner = self.0.lock();
        // The client's address is still of its kind.
        *inner.read() = Kept { values, ..Kept::default() };
    }

    /// The values as one JSON object, keys sorted. Encoded once per change.
    #[must_use]
    pub fn encoded(&self) -> Bytes {
        let mut inner = self.0.lock();
        let Kept { values, encoded, .. } = inner.read();
        encoded.get_or_insert_with(|| json(values)).clone()
    }

    /// Replaces everything with the values of a JSON object.
    ///
    /// # Errors
    /// PIT-400 when the bytes are not a JSON object; the data are as before.
    pub fn replace_encoded(&self, json: &[u8]) -> Result<()> {
        let values = read(json).map_err(|e| Error::bad_request(e.to_string()))?;
        self.replace(values);
        Ok(())
    }

    /// Replaces everything with what another server sends back: a JSON object, with what Go keeps there or without.
    ///
    /// # Errors
    /// PIT-400 when the bytes are not a JSON object; the data are as before.
    pub fn replace_wire(&self, json: &[u8]) -> Result<()> {
        let mut values = read(json).map_err(|e| Error::bad_request(e.to_string()))?;
        take_ip(&mut values);
        self.replace(values);
        Ok(())
    }

    /// The data that came with a message of another server: a JSON object or nothing. They are looked at when they are
    /// first asked for. They are copied: what they came in may be much larger.
    ///
    /// # Errors
    /// PIT-500 when the bytes are not a JSON object.
    pub fn from_wire(json: &[u8]) -> Result<Self> {
        if json.is_empty() {
            return Ok(Self::default());
        }
        let known = Self::usual(json);
        let is_sound = known.is_some() || serde_json::from_slice::<SoundObject>(json).is_ok();
        let wire = known.unwrap_or_else(|| Bytes::copy_from_slice(json));
        let mut inner = Inner::default();
        let kept = inner.kept.get_or_insert_default();
        kept.wire = Some(wire.clone());
        if is_sound {
            kept.unread = Some(wire);
        } else {
            let broken = |e| Error::internal(format!("the data of the session cannot be read: {e}"));
            kept.values = read(json).map_err(broken)?;
            inner.ip = take_ip(&mut kept.values);
        }
        Ok(Self(Mutex::new(inner)))
    }

    /// These bytes, without holding what they came in, when they are what most sessions of a cluster have.
    #[doc(hidden)]
    #[must_use]
    pub fn usual(json: &[u8]) -> Option<Bytes> {
        USUAL.into_iter().find(|usual| *usual == json).map(Bytes::from_static)
    }

    /// The values as they travel to other servers, with those that Go keeps there. Encoded once per change.
    #[must_use]
    pub fn to_wire(&self) -> Bytes {
        let mut inner = self.0.lock();
        if let Some(wire) = inner.kept.as_ref().and_then(|kept| kept.wire.as_ref()) {
            return wire.clone();
        }
        let mut values = inner.read().values.clone();
        values.extend(inner.ip.map(|ip| (IP_VERSION.to_owned(), IPS[usize::from(ip)].into())));
        let wire = json(&values);
        inner.read().wire.insert(wire).clone()
    }

    /// Whether they are still what came as these bytes, or were sent as them.
    pub(crate) fn is_wire(&mut self, json: &[u8]) -> bool {
        self.0.get_mut().kept.as_ref().and_then(|kept| kept.wire.as_deref()) == Some(json)
    }

    /// Notes the kind of the client's address, as Go does with the handshake.
    #[doc(hidden)]
    pub fn set_ip_version(&self, v4: bool) {
        let mut inner = self.0.lock();
        if inner.kept.is_some() {
            inner.read().wire = None;
        }
        inner.ip = Some(u8::from(!v4));
    }

    fn change<R>(&self, f: impl FnOnce(&mut Map<String, Value>) -> R) -> R {
        let mut inner = self.0.lock();
        let kept = inner.read();
        (kept.encoded, kept.wire) = (None, None);
        f(&mut kept.values)
    }
}

/// Takes Go's own value out.
fn take_ip(values: &mut Map<String, Value>) -> Option<u8> {
    let ip = IPS.iter().position(|ip| values.get(IP_VERSION).is_some_and(|value| value == ip))?;
    values.remove(IP_VERSION);
    Some(ip as u8)
}

/// A map of strings to JSON values always has a JSON form.
fn json(values: &Map<String, Value>) -> Bytes {
    serde_json::to_vec(values).unwrap_or_else(|_| b"{}".to_vec()).into()
}

/// An object of JSON in which everything can be read, also what a reader that skips values would not look at: characters
/// and the range of numbers. Nothing of it is kept.
struct SoundObject;

struct Sound;

impl<'de> Deserialize<'de> for SoundObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Sound).map(|_| Self)
    }
}

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
