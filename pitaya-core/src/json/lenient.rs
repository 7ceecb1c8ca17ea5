//! JSON as clients in the field write it: texts that Go's `encoding/json` takes and a strict reader refuses.
//!
//! A body is read strictly first, so that a valid one costs nothing. After an error its *text* is repaired and read once
//! more; numbers and raw values stay as they were written. If the second reading fails too, the first error is reported.
//!
//! The second reading is bounded: each step of the repair is one pass over the body (the names are sorted), it nests at
//! most [`MAX_DEPTH`] levels, and it begins only where the error can be one that the repair removes.

use std::borrow::Cow;
use std::char::REPLACEMENT_CHARACTER;

use serde::de::IgnoredAny;
use serde_json::error::Category;

/// Upper bound of the nesting of a text that is repaired: as deep as `serde_json` reads.
const MAX_DEPTH: usize = 128;

/// Reads a body with `read`, and where that fails once more with its text repaired.
///
/// # Errors
/// The error of the first reading, when the second one fails as well or there is nothing to repair.
#[inline]
pub(super) fn or_repaired<T>(body: &[u8], read: impl Fn(&[u8]) -> serde_json::Result<T>) -> serde_json::Result<T> {
    match read(body) {
        Ok(value) => Ok(value),
        Err(first) => match repaired(body, &first) {
            Some(text) => read(text.as_bytes()).or(Err(first)),
            None => Err(first),
        },
    }
}

/// The text without what a strict reader refuses and Go takes; `None` when there is nothing of that kind in it.
#[cold]
#[inline(never)]
fn repaired(body: &[u8], error: &serde_json::Error) -> Option<String> {
    if matches!(error.classify(), Category::Eof | Category::Io) {
        // It is cut off.
        return None;
    }
    let text = with_whole_escapes(with_whole_characters(body));
    if matches!((&text, error.classify()), (Cow::Borrowed(_), Category::Syntax)) {
        // Repeated names are no matter of syntax.
        return None;
    }
    // From here on the text is known to be JSON: what is left out of it cannot hide a mistake.
    serde_json::from_str::<IgnoredAny>(&text).ok()?;
    match without_repeated_names(&text)? {
        Cow::Owned(shorter) => Some(shorter),
        Cow::Borrowed(_) => match text {
            Cow::Owned(text) => Some(text),
            Cow::Borrowed(_) => None,
        },
    }
}

/// UTF-8: pairs of surrogates in three bytes each (CESU-8) become their character, and each other byte that is no UTF-8
/// becomes U+FFFD, one for one, as in Go.
fn with_whole_characters(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(chunk) = rest.utf8_chunks().next() {
        text.push_str(chunk.valid());
        rest = &rest[chunk.valid().len()..];
        if rest.is_empty() {
            break;
        }
        let (character, length) = cesu_pair(rest).map_or((REPLACEMENT_CHARACTER, 1), |character| (character, 6));
        text.push(character);
        rest = &rest[length..];
    }
    Cow::Owned(text)
}

/// The character beyond U+FFFF whose two surrogates stand at the start of `bytes`, each written in three bytes.
fn cesu_pair(bytes: &[u8]) -> Option<char> {
    let &[0xed, a @ 0xa0..=0xaf, b @ 0x80..=0xbf, 0xed, c @ 0xb0..=0xbf, d @ 0x80..=0xbf, ..] = bytes else {
        return None;
    };
    let unit = |high: u8, low: u8| 0xd000 | u16::from(high & 0x3f) << 6 | u16::from(low & 0x3f);
    char::decode_utf16([unit(a, b), unit(c, d)]).next()?.ok()
}

/// Escapes of half a character (`\ud83d` without its other half) become the escape of U+FFFD, as Go reads them.
fn with_whole_escapes(text: Cow<'_, str>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut halves = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += next;
        at += match escaped_unit(bytes, at) {
            Some(0xd800..=0xdbff) if matches!(escaped_unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                halves.push(at);
                6
            }
            Some(_) => 6,
            None => 2,
        };
    }
    if halves.is_empty() {
        return text;
    }
    let mut bytes = text.into_owned().into_bytes();
    for at in halves {
        // Six ASCII bytes for six.
        bytes[at..at + 6].copy_from_slice(br"\ufffd");
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The UTF-16 unit of an escape `\uXXXX` at this place.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = bytes.get(at..at.checked_add(6)?)? else { return None };
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

/// One member of an object: where its name begins and its value ends.
struct Member<'a> {
    /// Number of the object, in the order of their opening braces.
    object: usize,
    name: Cow<'a, str>,
    start: usize,
    end: usize,
}

/// An array or an object that is not closed yet.
enum Open {
    Array,
    Object {
        number: usize,
        /// The member that is being read, once its name was.
        member: Option<usize>,
    },
}

/// Leaves out each member of an object whose name stands in the same object again: the last one counts. `None` for a text
/// that nests too deeply. The text is known to be JSON.
fn without_repeated_names(text: &str) -> Option<Cow<'_, str>> {
    let mut members = members(text)?;
    // Stable: members of one name stay in the order of the text.
    members.sort_by(|a, b| (a.object, &a.name).cmp(&(b.object, &b.name)));
    let is_repeated = |pair: &[Member<'_>]| pair[0].object == pair[1].object && pair[0].name == pair[1].name;
    let earlier = members.windows(2).filter(|pair| is_repeated(pair)).map(|pair| (pair[0].start, pair[0].end));
    let mut earlier: Vec<_> = earlier.collect();
    if earlier.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    earlier.sort_unstable();
    let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
    for (start, end) in earlier {
        // One may lie inside another that is left out.
        if start >= at {
            kept.push_str(&text[at..start]);
            // With its comma: a later member follows.
            at = end + 1;
        }
    }
    kept.push_str(&text[at..]);
    Some(Cow::Owned(kept))
}

fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let bytes = text.as_bytes();
    let (mut members, mut open): (Vec<Member<'_>>, Vec<Open>) = (Vec::new(), Vec::new());
    let (mut objects, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at)?;
                if let Some(Open::Object { number, member: member @ None }) = open.last_mut() {
                    let literal = &text[at + 1..end - 1];
                    let name = match literal.contains('\\') {
                        true => Cow::Owned(serde_json::from_str(&text[at..end]).ok()?),
                        false => Cow::Borrowed(literal),
                    };
                    *member = Some(members.len());
                    members.push(Member { object: *number, name, start: at, end });
                }
                at = end;
                continue;
            }
            b'[' | b'{' if open.len() == MAX_DEPTH => return None,
            b'[' => open.push(Open::Array),
            b'{' => {
                open.push(Open::Object { number: objects, member: None });
                objects += 1;
            }
            b',' | b'}' | b']' => {
                if let Some(Open::Object { member, .. }) = open.last_mut()
                    && let Some(member) = member.take()
                {
                    members[member].end = at;
                }
                if *byte != b',' {
                    open.pop();
                }
            }
            _ => {}
        }
        at += 1;
    }
    Some(members)
}

/// The place behind the string literal that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read as lenient;
    use crate::{SerdeCodec, StrictJson};
    use serde::Deserialize;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn read(text: &[u8]) -> Value {
        lenient(text).unwrap_or_else(|e| panic!("{}: {e}", String::from_utf8_lossy(text)))
    }

    /// What Go 1.25 reads from the same bytes, but for the pairs of CESU-8.
    #[test]
    fn broken_characters_are_read_as_in_go() {
        for (text, value) in [
            (&b"\"\xed\xa0\xbd\xed\xb8\x82\""[..], "😂"),
            (b"\"a\xed\xa0\xbd\xed\xb8\x82\xed\xa0\xbd\xed\xb8\x82b\"", "a😂😂b"),
            (b"\"\xed\xa0\xbd\"", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\"\xed\xb8\x82\xed\xa0\xbd\"", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\"\xed\xa0\xbd\xed\xb8\"", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\"caf\xe9\"", "caf\u{fffd}"),
            (b"\"\xe2\x82\"", "\u{fffd}\u{fffd}"),
            (b"\"\xff\xc0\x80\xf5\"", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (br#""\ud83d""#, "\u{fffd}"),
            (br#""\ude02""#, "\u{fffd}"),
            (br#""\ud83dx""#, "\u{fffd}x"),
            (br#""\ud83d\u0041""#, "\u{fffd}A"),
            (br#""\ud83d\ud83d\ude02""#, "\u{fffd}😂"),
            (br#""\ude02\ud83d""#, "\u{fffd}\u{fffd}"),
            (br#""\ud83d\n\\ud83d""#, "\u{fffd}\n\\ud83d"),
        ] {
            assert_eq!(read(text), json!(value), "{}", text.escape_ascii());
            assert!(StrictJson::from_slice::<Value>(text).is_err(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn names_are_repaired_too() {
        assert_eq!(
            read(b"{\"\xed\xa0\xbd\xed\xb8\x82\":[\"\\ud83d\"],\"\xe9\":1}"),
            json!({ "😂": ["\u{fffd}"], "\u{fffd}": 1 })
        );
    }

    #[derive(Debug, Deserialize)]
    struct Move {
        uid: String,
        #[serde(default)]
        pos: Vec<f64>,
        #[serde(default)]
        inner: Option<Box<Self>>,
        #[serde(default)]
        raw: Option<Box<serde_json::value::RawValue>>,
    }

    #[test]
    fn of_repeated_names_the_last_counts() {
        for (text, uid) in [
            (r#"{"uid":"a","uid":"b"}"#, "b"),
            (r#"{"uid":1,"uid":"b"}"#, "b"),
            (r#" { "uid" : "a" , "pos" : [ 1 ] , "pos":[2], "uid" : "b" , "uid":"c" } "#, "c"),
            (r#"{"uid":{"uid":1,"uid":[{},{}],"x":"}"},"uid":"d\"","pos":[]}"#, "d\""),
            // The same name, written in two ways.
            (r#"{"\u0075id":"a","uid":"e"}"#, "e"),
            (r#"{"uid":"a","\u0075id":"f"}"#, "f"),
        ] {
            assert_eq!(lenient::<Move>(text.as_bytes()).expect(text).uid, uid, "{text}");
        }
        let nested: Move = lenient(br#"{"uid":"a","inner":{"uid":"x","uid":"y"},"pos":[1],"pos":[2]}"#).expect("read");
        assert_eq!((nested.inner.map(|inner| inner.uid).as_deref(), &nested.pos[..]), (Some("y"), &[2.0][..]));
    }

    /// Through a tree of values they would not be what they were.
    #[test]
    fn numbers_and_raw_values_stay_as_they_were_written() {
        let text = br#"{"uid":"\ud83d","raw":{"n" :1.0e0, "n":100000000000000000000000000000000000001}}"#;
        let read: Move = lenient(text).expect("read");
        assert_eq!(read.raw.expect("raw").get(), r#"{ "n":100000000000000000000000000000000000001}"#);
        let big: BTreeMap<String, u128> = lenient(b"{\"\xe9\":340282366920938463463374607431768211455}").expect("read");
        assert_eq!(big["\u{fffd}"], u128::MAX);
    }

    #[test]
    fn the_first_error_is_the_one_reported() {
        let strict = |text: &[u8]| serde_json::from_slice::<Move>(text).expect_err("an error").to_string();
        for text in [
            &b"{\"uid\":\"\xe9\",\"pos\":7}"[..],
            b"{\"uid\":\"\xe9\"",
            b"{\"uid\":\"a\"\xe9}",
            br#"{"uid":"\ud83d"}}"#,
            br#"{"uid":"\ud83"}"#,
            br#"{"uid":tru,"uid":"a"}"#,
            br#"{"uid":"a","uid":7}"#,
            br#"{"pos":[]}"#,
            b"",
        ] {
            let error = lenient::<Move>(text).expect_err("an error").to_string();
            assert_eq!(error, strict(text), "{}", text.escape_ascii());
        }
    }

    /// A valid text that is no value of the type is not read again.
    #[test]
    fn a_body_is_read_twice_only_when_its_text_was_repaired() {
        let readings = std::cell::Cell::new(0);
        let count = |text: &[u8]| {
            readings.set(readings.get() + 1);
            serde_json::from_slice::<Move>(text)
        };
        for (text, times) in [
            (r#"{"uid":"a"}"#, 1),
            (r#"{"uid":7}"#, 1),
            (r#"{"uid":"a""#, 1),
            (r#"{"uid":"a"]"#, 1),
            (r#"{"uid":"a","uid":"b"}"#, 2),
            (r#"{"uid":"\ud83d"}"#, 2),
        ] {
            readings.set(0);
            let _ = super::or_repaired(text.as_bytes(), count);
            assert_eq!(readings.get(), times, "{text}");
        }
    }

    /// Bodies made to be expensive: each of these takes very long where a step is quadratic.
    #[test]
    fn hostile_bodies_cost_no_more_than_their_length() {
        const LENGTH: usize = 1 << 20;
        let deep = [&b"{\"uid\":\"\xe9\",\"pos\":"[..], &vec![b'['; LENGTH]].concat();
        assert!(lenient::<Move>(&deep).is_err());
        let closed = [&deep[..], &vec![b']'; LENGTH], b"}"].concat();
        assert!(lenient::<Value>(&closed).is_err());
        let objects = [&b"\xe9"[..], &r#"{"":"#.repeat(LENGTH / 4).into_bytes()].concat();
        assert!(lenient::<Move>(&objects).is_err());
        let broken = [&b"{\"uid\":\""[..], &vec![0xed; LENGTH], b"\"}"].concat();
        assert_eq!(lenient::<Move>(&broken).expect("read").uid.len(), 3 * LENGTH);
        let halves = format!(r#"{{"uid":"{}"}}"#, r"\ud83d".repeat(LENGTH / 6));
        assert_eq!(lenient::<Move>(halves.as_bytes()).expect("read").uid.len(), 3 * (LENGTH / 6));
        let repeated = format!(r#"{{{}"uid":"z"}}"#, r#""uid":"a","#.repeat(LENGTH / 10));
        assert_eq!(lenient::<Move>(repeated.as_bytes()).expect("read").uid, "z");
        let several: String = (0..LENGTH / 16).map(|n| format!(r#""{:x}":0,"#, n % (LENGTH / 32))).collect();
        let read: Move = lenient(format!(r#"{{{several}"uid":"y","uid":"z"}}"#).as_bytes()).expect("read");
        assert_eq!(read.uid, "z");
    }
}
