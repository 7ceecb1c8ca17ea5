use serde::Serialize;

use super::{OK, REFUSED};
use crate::wire::{Dictionary, PacketKind, packet};

/// The most bytes of a refusal's code and of its text; more is cut off.
const MAX_TEXT: usize = 1024;

/// What a server answers to a handshake. Made once, at build: the bytes are the same for every client.
///
/// They are Go's, byte for byte, except that they are never compressed: nothing in a packet says that it is, and the
/// JavaScript client would fail on it.
///
/// ```
/// use pitaya_core::wire::{Dictionary, HandshakeReply};
///
/// let reply = HandshakeReply { heartbeat: 30, serializer: "json", dictionary: &Dictionary::default() };
/// assert_eq!(&reply.ok()[4..], br#"{"code":200,"sys":{"dict":{},"heartbeat":30,"serializer":"json"}}"#);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct HandshakeReply<'a> {
    /// Seconds between heartbeats. Whole ones, because Go's client reads an integer and libpitaya cuts fractions off;
    /// 0 stands for 1, because Go's client panics on it.
    pub heartbeat: u64,
    /// Name of the serializer: `json`, `protobuf`, or that of an application's own.
    pub serializer: &'a str,
    /// The routes that may travel as codes.
    pub dictionary: &'a Dictionary,
}

// The fields stand in the order of their names, as Go sorts the keys of the maps it builds this from.
#[derive(Serialize)]
struct Body<'a> {
    code: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason<'a>>,
    sys: Sys<'a>,
    // Ours: behind all of Go's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct Reason<'a> {
    code: &'a str,
    msg: &'a str,
}

#[derive(Serialize)]
struct Sys<'a> {
    dict: &'a Dictionary,
    heartbeat: u64,
    serializer: &'a str,
}

impl HandshakeReply<'_> {
    /// The whole packet that accepts a client.
    ///
    /// # Panics
    /// If the serializer's name is so long (megabytes) that the reply fits in no packet.
    pub fn ok(&self) -> Vec<u8> {
        self.packet(OK, None, None)
    }

    /// The whole packet that refuses a client, to be flushed before the connection is closed.
    ///
    /// It has the shape of the accepting one, with code 400, and behind that a `message` for people. A `reason` (code and
    /// text) is added under the key `error`. Go has neither key, and all known clients ignore both. Each text is cut at
    /// 1,024 bytes.
    ///
    /// # Panics
    /// As [`ok`](Self::ok).
    pub fn refused(&self, reason: Option<(&str, &str)>, message: &str) -> Vec<u8> {
        let reason = reason.map(|(code, msg)| Reason { code: cut(code), msg: cut(msg) });
        self.packet(REFUSED, reason, Some(cut(message)))
    }

    fn packet(&self, code: i64, error: Option<Reason<'_>>, message: Option<&str>) -> Vec<u8> {
        let sys = Sys { dict: self.dictionary, heartbeat: self.heartbeat.max(1), serializer: self.serializer };
        let mut out = Vec::with_capacity(128);
        let at = packet::open(&mut out, PacketKind::Handshake);
        serde_json::to_writer(&mut out, &Body { code, error, sys, message }).expect("texts and numbers are JSON");
        packet::seal(&mut out, at).expect("a dictionary is bounded and a serializer's name is short");
        out
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dictionary::MAX_BYTES;

    fn body(packet: &[u8]) -> &str {
        let (packet, used) = crate::wire::Packet::decode(packet, packet::MAX_BODY).unwrap().unwrap();
        assert_eq!((packet.kind, used), (PacketKind::Handshake, packet.body.len() + packet::HEADER));
        std::str::from_utf8(packet.body).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_the_heartbeat_is_an_integer() {
        let dictionary = Dictionary::new([("b".to_owned(), 1), ("a".to_owned(), 2), ("B".to_owned(), 3)]).unwrap();
        let reply = HandshakeReply { heartbeat: 0, serializer: "protobuf", dictionary: &dictionary };
        let sys = r#""sys":{"dict":{"B":3,"a":2,"b":1},"heartbeat":1,"serializer":"protobuf"}"#;
        assert_eq!(body(&reply.ok()), format!(r#"{{"code":200,{sys}}}"#));
        assert_eq!(
            body(&reply.refused(None, "no \"JSON\"")),
            format!(r#"{{"code":400,{sys},"message":"no \"JSON\""}}"#)
        );
        assert_eq!(
            body(&reply.refused(Some(("PIT-401", "too \"old\"")), "old")),
            format!(r#"{{"code":400,"error":{{"code":"PIT-401","msg":"too \"old\""}},{sys},"message":"old"}}"#)
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reply = HandshakeReply { heartbeat: 1, serializer: "json", dictionary: &Dictionary::default() };
        let packet = reply.refused(Some(("", &format!("a{}", "é".repeat(2000)))), &"x".repeat(2000));
        assert!(body(&packet).contains(&format!(r#""msg":"a{}""#, "é".repeat(511))));
        assert!(body(&packet).ends_with(&format!(r#""message":"{}"}}"#, "x".repeat(1024))));
    }

    #[test]
    fn the_largest_dictionary_fits_even_when_every_byte_is_escaped() {
        let routes = (0..MAX_BYTES / 255).map(|index| (format!("a{}{index:04}b", "\u{1}".repeat(249)), None));
        let dictionary = Dictionary::generated(routes).unwrap();
        let reply = HandshakeReply { heartbeat: 1, serializer: "json", dictionary: &dictionary };
        assert!(body(&reply.ok()).len() > 11 << 20);
    }
}
