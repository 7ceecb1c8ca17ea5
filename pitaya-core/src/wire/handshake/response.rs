use std::borrow::Cow;

use serde_json::Value;

use super::{HandshakeError, OK};
use crate::json;
use crate::wire::{Dictionary, inflate, packet::MAX_BODY};

/// What a server's reply says, read by a client. Lenient: whatever is missing or odd gets its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeResponse {
    /// 200 when accepted; Pitaya refuses with 400, pomelo also with 500 and 501.
    pub code: i64,
    /// Seconds between heartbeats, a fraction rounded up; 0 for none.
    pub heartbeat: u64,
    /// Name of the serializer; `json` unless the server names another.
    pub serializer: String,
    /// The routes that may travel as codes.
    pub dictionary: Dictionary,
    /// Why the server refused, if it said so.
    pub refusal: Option<HandshakeRefusal>,
}

/// Why a server refused a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRefusal {
    /// The error code, for instance `PIT-401`; empty when the server gave a text alone.
    pub code: String,
    /// A text for people.
    pub msg: String,
}

impl HandshakeResponse {
    /// Reads the body of a server's handshake packet, which may be compressed: nothing says so but its first bytes.
    ///
    /// # Errors
    /// [`HandshakeError`] when it is no JSON object with a number as its `code`, or cannot be inflated.
    ///
    /// ```
    /// use pitaya_core::wire::HandshakeResponse;
    ///
    /// let response = HandshakeResponse::parse(br#"{"code":200,"sys":{"heartbeat":30}}"#)?;
    /// assert!(response.is_ok());
    /// assert_eq!((response.heartbeat, response.serializer.as_str()), (30, "json"));
    /// # Ok::<(), pitaya_core::wire::HandshakeError>(())
    /// ```
    pub fn parse(body: &[u8]) -> Result<Self, HandshakeError> {
        let value: Value = json::read(&plain(body)?)?;
        let code = value["code"].as_i64().or_else(|| value["code"].as_f64().map(|code| code as i64));
        let sys = &value["sys"];
        let dictionary = sys["dict"].as_object().into_iter().flatten();
        Ok(Self {
            code: code.ok_or(HandshakeError::Type { field: "code", wanted: "a number" })?,
            // `as` saturates: what is negative or no number becomes 0.
            heartbeat: sys["heartbeat"].as_f64().map_or(0, |seconds| seconds.ceil() as u64),
            serializer: sys["serializer"].as_str().filter(|name| !name.is_empty()).unwrap_or("json").to_owned(),
            dictionary: Dictionary::lenient(
                dictionary.filter_map(|(route, code)| Some((route.as_str(), code.as_u64()?.try_into().ok()?))),
            ),
            refusal: value["error"]
                .as_object()
                .map(|error| {
                    let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                    HandshakeRefusal { code: text("code"), msg: text("msg") }
                })
                .or_else(|| {
                    let message = value["message"].as_str()?;
                    Some(HandshakeRefusal { code: String::new(), msg: message.to_owned() })
                }),
        })
    }

    /// Whether the server accepted.
    pub fn is_ok(&self) -> bool {
        self.code == OK
    }
}

/// The body itself, or what it holds when it starts like a zlib stream. No JSON does.
fn plain(body: &[u8]) -> Result<Cow<'_, [u8]>, HandshakeError> {
    match body {
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, _, ..] => {
            let mut json = Vec::new();
            inflate(body, MAX_BODY, &mut json)?;
            Ok(Cow::Owned(json))
        }
        _ => Ok(Cow::Borrowed(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HandshakeReply;

    #[test]
    fn what_a_server_writes_is_read() {
        let dictionary = Dictionary::new([("room.join".to_owned(), 1), ("onMessage".to_owned(), 258)]).unwrap();
        let reply = HandshakeReply { heartbeat: 30, serializer: "protobuf", dictionary: &dictionary };
        let accepted = HandshakeResponse {
            code: 200,
            heartbeat: 30,
            serializer: "protobuf".into(),
            dictionary: dictionary.clone(),
            refusal: None,
        };
        assert_eq!(HandshakeResponse::parse(&reply.ok()[4..]).unwrap(), accepted);

        let refusal = Some(HandshakeRefusal { code: "PIT-401".into(), msg: "too old".into() });
        let refused = HandshakeResponse::parse(&reply.refused(Some(("PIT-401", "too old")), "too old")[4..]).unwrap();
        assert!(!refused.is_ok());
        assert_eq!(refused, HandshakeResponse { code: 400, refusal, ..accepted });
        let refused = HandshakeResponse::parse(&reply.refused(None, "no JSON")[4..]).unwrap();
        assert_eq!(refused.refusal, Some(HandshakeRefusal { code: String::new(), msg: "no JSON".into() }));
    }

    #[test]
    fn odd_replies_are_read_as_far_as_they_go() {
        let read = |sys: &str| HandshakeResponse::parse(format!(r#"{{"code":200.0,"sys":{sys}}}"#).as_bytes()).unwrap();
        for (sys, heartbeat) in [
            ("null", 0),
            ("{}", 0),
            (r#"{"heartbeat":"3"}"#, 0),
            (r#"{"heartbeat":-1}"#, 0),
            (r#"{"heartbeat":0.5}"#, 1),
            (r#"{"heartbeat":30.0,"serializer":7}"#, 30),
        ] {
            let response = read(sys);
            assert_eq!((response.code, response.heartbeat, response.serializer.as_str()), (200, heartbeat, "json"));
        }
        let odd = read(r#"{"dict":{"a":1,"b":"2","c":70000,"d":0,"e":1,"f":-3,"g":9}}"#);
        assert_eq!(odd.dictionary.iter().collect::<Vec<_>>(), [("a", 1), ("g", 9)]);
    }

    #[test]
    fn without_a_code_there_is_no_reply() {
        for body in ["{}", "[]", "3", r#"{"code":"200"}"#, "", "x\u{9c}x"] {
            assert!(HandshakeResponse::parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(matches!(HandshakeResponse::parse(b"\x78\x9cxx"), Err(HandshakeError::Inflate(_))));
    }
}
