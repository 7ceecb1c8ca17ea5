//! The types a key can have: how each is read from a file or a variable, and how it is shown.
//!
//! Reading is as weakly typed as Go's: a variable is always a text, and a file may quote a number.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::{ByteSize, Network, NetworkError, Rate, RateError, duration, size};

/// A value that a key can hold.
pub(crate) trait Setting {
    /// What the reference calls the type.
    fn kind(&self) -> &'static str;

    /// Takes the value, or says what would be accepted and stays as it was.
    fn read(&mut self, value: &Value) -> Result<(), String>;

    /// The value, so that `read` gives the same again. `Null` stands for what must not be shown.
    fn value(&self) -> Value;

    /// Whether the value must not appear in a message.
    fn secret(&self) -> bool {
        false
    }
}

/// A text that is not shown: neither by `Debug`, nor in errors, nor when a [`Config`](super::Config) is serialized.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(..)" })
    }
}

/// `pitaya.serializertype`: how the bodies of messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SerializerType {
    /// JSON; `1` or `json`.
    #[default]
    Json,
    /// Protocol buffers; `2` or `protobuf`.
    Protobuf,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// Whether a frontend subscribes the subjects of each of its users, by which Go servers push and kick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserTopics {
    /// While the cluster has a server that uses them.
    #[default]
    Auto,
    /// Always: programs that are in no discovery publish to users.
    Always,
    /// Never: a Go server's pushes and kicks by uid do not arrive.
    Never,
}

impl Setting for bool {
    fn kind(&self) -> &'static str {
        "bool"
    }

    /// The spellings of Go's `strconv.ParseBool`.
    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = match text(value).as_deref() {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            _ => return Err("write true or false".to_owned()),
        };
        Ok(())
    }

    fn value(&self) -> Value {
        (*self).into()
    }
}

macro_rules! integers {
    ($($type:ty)+) => { $(
        impl Setting for $type {
            fn kind(&self) -> &'static str {
                "integer"
            }

            fn read(&mut self, value: &Value) -> Result<(), String> {
                *self = text(value)
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| format!("write a whole number from {} to {}", Self::MIN, Self::MAX))?;
                Ok(())
            }

            fn value(&self) -> Value {
                (*self).into()
            }
        }
    )+ };
}

integers!(u16 u32 i32 usize);

impl Setting for f64 {
    fn kind(&self) -> &'static str {
        "number"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        let number = text(value).and_then(|text| text.parse().ok()).filter(|n: &Self| n.is_finite());
        *self = number.ok_or("write a number, for example 0.5")?;
        Ok(())
    }

    fn value(&self) -> Value {
        (*self).into()
    }
}

impl Setting for String {
    fn kind(&self) -> &'static str {
        "text"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = match value {
            Value::String(text) => text.clone(),
            other => text(other).ok_or("write a text")?,
        };
        Ok(())
    }

    fn value(&self) -> Value {
        self.as_str().into()
    }
}

impl Setting for Secret {
    fn kind(&self) -> &'static str {
        "text, not shown"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        self.0.read(value)
    }

    fn value(&self) -> Value {
        if self.0.is_empty() { "".into() } else { Value::Null }
    }

    fn secret(&self) -> bool {
        true
    }
}

impl Setting for Vec<String> {
    fn kind(&self) -> &'static str {
        "list"
    }

    /// A list, or a text with commas. Blanks around the parts are dropped, empty parts too.
    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = match value {
            Value::Array(items) => items.iter().map(text).collect::<Option<_>>(),
            one => text(one).map(|text| commas(&text).map(str::to_owned).collect()),
        }
        .ok_or("write a list of texts, or one text with commas between")?;
        Ok(())
    }

    fn value(&self) -> Value {
        self.as_slice().into()
    }
}

impl Setting for BTreeMap<String, String> {
    fn kind(&self) -> &'static str {
        "map"
    }

    /// A table, or a text like `env=live,zone=3`. Names may have dots, and no quotes in TOML.
    fn read(&mut self, value: &Value) -> Result<(), String> {
        let wrong = || "write a table of texts, or one text like env=live,zone=3".to_owned();
        *self = match value {
            Value::Object(table) => {
                let mut all = Self::new();
                below("", table, &|value| text(value).ok_or_else(wrong), &mut all)?;
                all
            }
            one => text(one).and_then(|text| commas(&text).map(pair).collect::<Option<Self>>()).ok_or_else(wrong)?,
        };
        Ok(())
    }

    fn value(&self) -> Value {
        self.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect::<Map<_, _>>().into()
    }
}

impl Setting for Vec<Network> {
    fn kind(&self) -> &'static str {
        "list of networks"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        let mut texts = Vec::<String>::new();
        texts.read(value).map_err(|_| NetworkError.to_string())?;
        let networks = texts.iter().map(|text| text.parse().map_err(|e: NetworkError| format!("`{text}`: {e}")));
        *self = networks.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn value(&self) -> Value {
        self.iter().map(ToString::to_string).collect::<Vec<_>>().into()
    }
}

/// An empty text is no limit.
impl Setting for Option<Rate> {
    fn kind(&self) -> &'static str {
        "rate"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        let text = text(value).ok_or_else(|| RateError.to_string())?;
        *self = if text.is_empty() { None } else { Some(text.parse().map_err(|e: RateError| e.to_string())?) };
        Ok(())
    }

    fn value(&self) -> Value {
        self.map(|rate| rate.to_string()).unwrap_or_default().into()
    }
}

impl Setting for BTreeMap<String, Rate> {
    fn kind(&self) -> &'static str {
        "map of rates"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        let rate = |value: &Value| {
            let text = text(value).ok_or_else(|| RateError.to_string())?;
            text.parse().map_err(|e: RateError| format!("`{text}`: {e}"))
        };
        *self = by_route(value, "game.room.say=5/s", &rate)?;
        Ok(())
    }

    fn value(&self) -> Value {
        self.iter().map(|(route, rate)| (route.clone(), rate.to_string().into())).collect::<Map<_, _>>().into()
    }
}

impl Setting for BTreeMap<String, Duration> {
    fn kind(&self) -> &'static str {
        "map of durations"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        let duration = |value: &Value| match duration::from_value(value)? {
            Duration::ZERO => Err("write a time above 0, for example 30s".to_owned()),
            duration => Ok(duration),
        };
        *self = by_route(value, "game.room.find=30s", &duration)?;
        Ok(())
    }

    fn value(&self) -> Value {
        self.iter().map(|(route, time)| (route.clone(), duration::format(*time).into())).collect::<Map<_, _>>().into()
    }
}

/// A table by route, or a text like the example, with commas between several. A table may have a table for each part of the
/// route: that is what TOML makes of a name with dots and no quotes.
fn by_route<T>(
    value: &Value,
    example: &str,
    read: &dyn Fn(&Value) -> Result<T, String>,
) -> Result<BTreeMap<String, T>, String> {
    let mut all = BTreeMap::new();
    match value {
        Value::Object(table) => below("", table, read, &mut all)?,
        one => {
            let wrong = || format!("write a table, or one text like {example}");
            for part in commas(&text(one).ok_or_else(wrong)?) {
                let (route, value) = pair(part).ok_or_else(wrong)?;
                all.insert(route, read(&value.into())?);
            }
        }
    }
    Ok(all)
}

fn below<T>(
    path: &str,
    table: &Map<String, Value>,
    read: &dyn Fn(&Value) -> Result<T, String>,
    all: &mut BTreeMap<String, T>,
) -> Result<(), String> {
    for (name, value) in table {
        let route = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Object(table) => below(&route, table, read, all)?,
            one => {
                let value = read(one).map_err(|e| format!("`{route}`: {e}"))?;
                all.insert(route, value);
            }
        }
    }
    Ok(())
}

impl Setting for Duration {
    fn kind(&self) -> &'static str {
        "duration"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = duration::from_value(value)?;
        Ok(())
    }

    fn value(&self) -> Value {
        duration::format(*self).into()
    }
}

impl Setting for ByteSize {
    fn kind(&self) -> &'static str {
        "size"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = size::from_value(value).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn value(&self) -> Value {
        self.to_string().into()
    }
}

impl Setting for SerializerType {
    fn kind(&self) -> &'static str {
        "name"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = match text(value).map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("1" | "json") => Self::Json,
            Some("2" | "protobuf") => Self::Protobuf,
            _ => return Err("write 1 or json, 2 or protobuf".to_owned()),
        };
        Ok(())
    }

    fn value(&self) -> Value {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
        .into()
    }
}

impl Setting for TlsVersion {
    fn kind(&self) -> &'static str {
        "TLS version"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = match text(value).as_deref() {
            Some("1.2") => Self::V1_2,
            Some("1.3") => Self::V1_3,
            _ => return Err("write 1.2 or 1.3; older versions are not safe".to_owned()),
        };
        Ok(())
    }

    fn value(&self) -> Value {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
        .into()
    }
}

impl Setting for UserTopics {
    fn kind(&self) -> &'static str {
        "user topics"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        *self = match text(value).as_deref() {
            Some("auto") => Self::Auto,
            Some("always") => Self::Always,
            Some("never") => Self::Never,
            _ => return Err("write auto, always or never".to_owned()),
        };
        Ok(())
    }

    fn value(&self) -> Value {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
        .into()
    }
}

/// What stands where a single value is wanted: the text of a text, a number or a bool, as a variable would hold it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        // 20.0 in a file is the whole number 20.
        Value::Number(number) if number.is_f64() => number.as_f64().map(|float| float.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn commas(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}
