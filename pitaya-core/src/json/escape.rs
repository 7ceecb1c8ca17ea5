//! JSON for clients that break on characters beyond U+FFFF in UTF-8.

use serde::de::IgnoredAny;

/// First byte of the shortest UTF-8 sequence of four bytes: no character up to U+FFFF has a byte from here on.
const FOUR_BYTES: u8 = 0xf0;
/// Bytes that are looked at together: without an exit in between the compiler makes vectors of them.
const BLOCK: usize = 64;

/// The same JSON text with each character beyond U+FFFF as two escapes, `\ud83d\ude02`. `None` when there is none of them,
/// or when the body is no JSON text: then it is to be sent as it is.
#[must_use]
pub fn escape_astral(body: &[u8]) -> Option<Vec<u8>> {
    if !body.chunks(BLOCK).any(|block| block.iter().fold(0, |most, byte| *byte.max(&most)) >= FOUR_BYTES) {
        return None;
    }
    escaped(body)
}

#[cold]
fn escaped(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    // In JSON such a character can only stand inside a string literal, where an escape means the same.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut out = Vec::with_capacity(body.len() + body.len() / 2);
    let mut rest = text;
    while let Some((before, character)) = rest.find(|c| c > '\u{ffff}').and_then(|at| {
        let character = rest[at..].chars().next()?;
        Some((&rest[..at], character))
    }) {
        out.extend_from_slice(before.as_bytes());
        for unit in character.encode_utf16(&mut [0; 2]) {
            out.extend_from_slice(br"\u");
            out.extend([12, 8, 4, 0].map(|shift| b"0123456789abcdef"[usize::from(*unit >> shift & 15)]));
        }
        rest = &rest[before.len() + character.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

/// [`escape_astral`] for the bytes of `out` from `body_at` on, in place. Whether it changed anything.
pub fn escape_astral_tail(out: &mut Vec<u8>, body_at: usize) -> bool {
    let Some(escaped) = out.get(body_at..).and_then(escape_astral) else { return false };
    out.truncate(body_at);
    out.extend_from_slice(&escaped);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn only_characters_beyond_the_basic_plane_are_escaped() {
        let text = r#"{"é😂":["\n漢\"🂡","\\😂"],"n":1.0}"#;
        let escaped = escape_astral(text.as_bytes()).expect("escaped");
        let escaped = std::str::from_utf8(&escaped).expect("UTF-8");
        assert_eq!(escaped, r#"{"é\ud83d\ude02":["\n漢\"\ud83c\udca1","\\\ud83d\ude02"],"n":1.0}"#);
        let read = |text| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(read(escaped), read(text));
    }

    #[test]
    fn nothing_is_done_where_there_is_nothing_to_do() {
        for body in ["", "1", r#""漢字 é \ud83d\ude02""#, "😂", "{\"a\":\"😂\"", "\"😂\"\"", &"x".repeat(1000)]
        {
            assert_eq!(escape_astral(body.as_bytes()), None, "{body}");
        }
        assert_eq!(escape_astral(b"\"\xf0\x9f\x98\""), None, "no UTF-8");
        let long = format!("\"{}😂\"", "x".repeat(1000));
        assert_eq!(escape_astral(long.as_bytes()).map(|body| body.len()), Some(1014));
    }

    #[test]
    fn a_tail_is_escaped_in_place() {
        let mut out = "head 😂\"😂\"".as_bytes().to_vec();
        assert!(escape_astral_tail(&mut out, 9));
        assert_eq!(out, "head 😂\"\\ud83d\\ude02\"".as_bytes());
        assert!(!escape_astral_tail(&mut out, 9));
        assert!(!escape_astral_tail(&mut out, 1000));
    }
}
