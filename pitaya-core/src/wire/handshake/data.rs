use serde::Serialize;
use serde_json::{Map, Value};

use super::HandshakeError;
use crate::json;

/// The `sys.type` of pomelo's JavaScript clients, whose parsers break on UTF-8 sequences of four bytes.
const JAVASCRIPT: [&str; 3] = ["js-websocket", "js-socket", "pomelo-node-tcp-client"];

/// What a handshake may cost before anything is known of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// The most bytes of JSON.
    pub bytes: usize,
    /// The most JSON values, nested ones and the outermost counted.
    pub values: usize,
}

/// 4 KiB and 256 values.
impl Default for HandshakeLimits {
    fn default() -> Self {
        Self { bytes: 4 << 10, values: 256 }
    }
}

/// What a client said of itself. Serialises with the keys and the order of Go's `HandshakeData`: `user` only when it
/// holds something, the four keys of `sys` always.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HandshakeData {
    /// What the client library says.
    pub sys: HandshakeSys,
    /// What the application behind it says.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub user: Map<String, Value>,
}

/// What a client library says of itself; empty texts where it is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HandshakeSys {
    /// The operating system or engine, for instance `mac`.
    pub platform: String,
    /// Version of the client library, for instance `0.3.5-release`.
    pub lib_version: String,
    /// Build of the application.
    pub client_build_number: String,
    /// Version of the application.
    pub client_version: String,
    /// `sys.type` of clients in the manner of pomelo, for instance `js-websocket`; a number or boolean as JSON writes it,
    /// `array` and `object` for those. Kept, but not part of Go's data.
    #[serde(skip)]
    pub client_type: String,
    /// `sys.version` of clients in the manner of pomelo. Kept, but not part of Go's data.
    #[serde(skip)]
    pub version: String,
    /// `sys.inflate`: whether the client says that it inflates bodies, or that it does not. Not part of Go's data, so written
    /// only when it says either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inflate: Option<bool>,
}

impl HandshakeData {
    /// Reads the body of a client's handshake packet.
    ///
    /// As strict as Go: exactly one JSON value, in which broken characters are read as by [`json::read`], an object or `null`; `sys` an object or `null`, its four fields texts or
    /// `null`; `user` an object or `null`. All of them may be missing, other keys are ignored.
    ///
    /// # Errors
    /// [`HandshakeError`]: the client is to be refused with code 400 and closed.
    ///
    /// ```
    /// use pitaya_core::wire::{HandshakeData, HandshakeLimits};
    ///
    /// let body = br#"{"sys":{"platform":"mac","rsa":{}},"user":{"age":30}}"#;
    /// let data = HandshakeData::parse(body, &HandshakeLimits::default())?;
    /// assert_eq!(data.sys.platform, "mac");
    /// assert_eq!(data.user["age"], 30);
    /// # Ok::<(), pitaya_core::wire::HandshakeError>(())
    /// ```
    pub fn parse(body: &[u8], limits: &HandshakeLimits) -> Result<Self, HandshakeError> {
        if body.len() > limits.bytes {
            return Err(HandshakeError::TooLong { length: body.len(), limit: limits.bytes });
        }
        // serde_json bounds the depth (128); the bytes bound everything else until the values are counted.
        let value: Value = json::read(body)?;
        let count = values(&value);
        if count > limits.values {
            return Err(HandshakeError::TooManyValues { count, limit: limits.values });
        }
        let mut top = object(value, "body")?;
        let mut sys = object(take(&mut top, "sys").unwrap_or_default(), "sys")?;
        let user = object(take(&mut top, "user").unwrap_or_default(), "user")?;
        let inflate = take(&mut sys, "inflate").and_then(|value| value.as_bool());
        let client_type = match take(&mut sys, "type") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(Value::Array(_)) => "array".to_owned(),
            Some(Value::Object(_)) => "object".to_owned(),
            Some(scalar) => scalar.to_string(),
        };
        let mut field = |key, name| match take(&mut sys, key) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(HandshakeError::Type { field: name, wanted: "a string or null" }),
        };
        let mut known = HandshakeSys {
            platform: field("platform", "sys.platform")?,
            lib_version: field("libVersion", "sys.libVersion")?,
            client_build_number: field("clientBuildNumber", "sys.clientBuildNumber")?,
            client_version: field("clientVersion", "sys.clientVersion")?,
            inflate,
            // Unknown to Go, so whatever it is must not refuse a client.
            client_type,
            ..HandshakeSys::default()
        };
        // Unknown to Go, too.
        known.version = field("version", "sys.version").unwrap_or_default();
        Ok(Self { sys: known, user })
    }

    /// Whether this is a client that breaks on UTF-8 sequences of four bytes: characters beyond U+FFFF are to be sent to it
    /// as escapes.
    pub fn needs_escapes(&self) -> bool {
        JAVASCRIPT.contains(&&*self.sys.client_type)
    }

    /// Whether this client is known to inflate bodies: by its `sys.inflate`, or where it does not say, because it introduces
    /// itself as Go's client and libpitaya do: with a `sys.libVersion` and without the `sys.type` that all of pomelo's have.
    pub fn inflates(&self) -> bool {
        let by_type = || !self.sys.lib_version.is_empty() && self.sys.client_type.is_empty();
        self.sys.inflate.unwrap_or_else(by_type)
    }
}

/// Takes the value of a key out: of the exact one, else of one that differs in case only, as Go finds it.
fn take(map: &mut Map<String, Value>, key: &str) -> Option<Value> {
    map.remove(key).or_else(|| {
        let alike = map.keys().find(|known| known.eq_ignore_ascii_case(key))?.clone();
        map.remove(&alike)
    })
}

fn object(value: Value, field: &'static str) -> Result<Map<String, Value>, HandshakeError> {
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map),
        _ => Err(HandshakeError::Type { field, wanted: "an object or null" }),
    }
}

/// How many values a value is, itself included. The parser has bounded the depth.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(entries) => entries.values().map(values).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<HandshakeData, HandshakeError> {
        HandshakeData::parse(body.as_bytes(), &HandshakeLimits::default())
    }

    fn refusal(body: &str) -> String {
        parse(body).unwrap_err().to_string()
    }

    #[test]
    fn what_clients_send_is_kept_and_written_back() {
        let body = r#"{"sys":{"platform":"mac","libVersion":"0.3.5-release","clientBuildNumber":"20","clientVersion":"2.1"},"user":{"age":30}}"#;
        let data = parse(body).unwrap();
        assert_eq!(data.sys.lib_version, "0.3.5-release");
        assert!(data.inflates() && !data.needs_escapes());
        assert_eq!(serde_json::to_string(&data).unwrap(), body);
    }

    #[test]
    fn the_javascript_clients_are_known() {
        let data = parse(r#"{"sys":{"type":"js-websocket","version":"0.0.1","rsa":{}}}"#).unwrap();
        assert!(data.needs_escapes() && !data.inflates());
        assert_eq!(data.sys.version, "0.0.1");
        assert_eq!(
            serde_json::to_string(&data).unwrap(),
            r#"{"sys":{"platform":"","libVersion":"","clientBuildNumber":"","clientVersion":""}}"#
        );
        for (name, needs_escapes) in [("js-socket", true), ("pomelo-node-tcp-client", true), ("js-ws", false)] {
            assert_eq!(parse(&format!(r#"{{"sys":{{"type":"{name}"}}}}"#)).unwrap().needs_escapes(), needs_escapes);
        }
    }

    #[test]
    fn only_clients_that_are_known_to_inflate_do() {
        for (sys, inflates) in [
            (r#"{"platform":"mac","libVersion":"0.3.5-release","clientBuildNumber":"20","clientVersion":"2.1"}"#, true),
            (r#"{"libVersion":"1","type":null}"#, true),
            (r#"{"libVersion":"1","type":"js-ws"}"#, false),
            (r#"{"platform":"mac","libVersion":""}"#, false),
            (r#"{"libVersion":"1","type":5}"#, false),
            (r#"{"libVersion":"1","type":false}"#, false),
            (r#"{"libVersion":"1","type":{}}"#, false),
            (r#"{"libVersion":"1","inflate":false}"#, false),
            (r#"{"libVersion":"1","inflate":null}"#, true),
            (r#"{"type":"socket","inflate":true}"#, true),
            (r#"{"inflate":"true"}"#, false),
            (r#"{"libVersion":null}"#, false),
            ("{}", false),
            ("null", false),
        ] {
            assert_eq!(parse(&format!(r#"{{"sys":{sys}}}"#)).unwrap().inflates(), inflates, "{sys}");
        }
        let ours = HandshakeSys { inflate: Some(true), ..HandshakeSys::default() };
        assert!(serde_json::to_string(&ours).unwrap().ends_with(r#""clientVersion":"","inflate":true}"#));
    }

    #[test]
    fn broken_texts_and_names_in_any_case_are_read_as_in_go() {
        let body = b"{\"Sys\":{\"PLATFORM\":\"\xed\xa0\xbd\xed\xb8\x82\",\"clientversion\":\"\xe9\"},\"user\":{\"\\ud83d\":\"\\ude02\"}}";
        let data = HandshakeData::parse(body, &HandshakeLimits::default()).unwrap();
        assert_eq!((&*data.sys.platform, &*data.sys.client_version), ("\u{1f602}", "\u{fffd}"));
        assert_eq!(data.user["\u{fffd}"], "\u{fffd}");
    }

    #[test]
    fn everything_may_be_missing_or_null() {
        for body in [
            "null",
            "{}",
            r#" {"sys":null,"user":null} "#,
            r#"{"sys":{"platform":null},"user":{}}"#,
            r#"{"x":[1],"sys":{"type":null,"version":[]}}"#,
        ] {
            assert_eq!(parse(body).unwrap(), HandshakeData::default(), "{body}");
        }
    }

    #[test]
    fn wrong_types_are_named() {
        assert_eq!(refusal("[]"), "the handshake's body must be an object or null");
        assert_eq!(refusal(r#"{"sys":1}"#), "the handshake's sys must be an object or null");
        assert_eq!(refusal(r#"{"user":[]}"#), "the handshake's user must be an object or null");
        for field in ["platform", "libVersion", "clientBuildNumber", "clientVersion"] {
            let text = refusal(&format!(r#"{{"sys":{{"{field}":1}}}}"#));
            assert_eq!(text, format!("the handshake's sys.{field} must be a string or null"));
        }
    }

    #[test]
    fn exactly_one_json_value() {
        for body in ["", " ", "{", "{}{}", "nul", "{}x", "\0", r#"{"sys":{},}"#, r#"{"user":{"n":1e999}}"#] {
            assert!(refusal(body).starts_with("the handshake is no JSON: "), "{body}");
        }
    }

    #[test]
    fn size_number_and_depth_are_bounded() {
        let limits = HandshakeLimits::default();
        let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
        assert!(parse(&padded(limits.bytes)).is_ok());
        assert_eq!(refusal(&padded(limits.bytes + 1)), "a handshake of 4097 bytes exceeds the limit of 4096");

        // The outermost object, `user` and the array make three.
        let counted = |count: usize| format!(r#"{{"user":{{"a":[{}]}}}}"#, vec!["0"; count - 3].join(","));
        assert!(parse(&counted(limits.values)).is_ok());
        assert_eq!(refusal(&counted(limits.values + 1)), "a handshake of 257 JSON values exceeds the limit of 256");

        let deep = format!(r#"{{"user":{{"a":{}{}}}}}"#, "[".repeat(2000), "]".repeat(2000));
        assert!(refusal(&deep).contains("recursion limit"));
    }

    #[test]
    fn of_duplicate_keys_the_last_counts() {
        let data = parse(r#"{"sys":{"platform":"a","platform":"b"},"user":{"x":1},"user":{"y":2}}"#).unwrap();
        assert_eq!(data.sys.platform, "b");
        assert_eq!(data.user["y"], 2);
    }
}
