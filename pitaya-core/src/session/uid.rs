//! The rules for uids.

use crate::codes;
use crate::error::{Error, Result};

/// The longest uid: it becomes one token of a broker's subject.
pub const MAX_UID: usize = 128;

/// Checks a uid before a session is bound to it. `invisible` allows characters that nobody sees.
pub(super) fn check(uid: &str, invisible: bool) -> Result<&str> {
    if uid.is_empty() {
        return Err(Error::new(codes::UNKNOWN, "illegal uid"));
    }
    // What makes it a part of one subject and of no other: `john.doe@x.com` does, `foo.*.bar` does not.
    let unsafe_char = |c: char| c.is_control() || c.is_whitespace();
    let unsafe_part = |part: &str| matches!(part, "" | "*" | ">");
    if uid.len() > MAX_UID || uid.contains(unsafe_char) || uid.split('.').any(unsafe_part) {
        let text = "a uid has at most 128 bytes, no blanks or control characters, and nothing between its dots is empty, `*` or `>`";
        return Err(Error::bad_request(text));
    }
    if let Some((at, found)) = uid.char_indices().find(|(_, c)| is_invisible(*c)).filter(|_| !invisible) {
        let name = format!("U+{:04X}", u32::from(found));
        let text = format!(
            "a uid has no characters that nobody sees, but this one has {name} behind {at} bytes: with it two uids look \
             alike; take it out, or allow such characters with `pitaya.session.bind.invisible`"
        );
        return Err(Error::bad_request(text).with("character", name));
    }
    Ok(uid)
}

/// Whether a character has no shape of its own: those that Unicode calls default-ignorable, which are the controls of the
/// writing direction, what has no width, fillers, variation selectors and tags, and the marks of annotations. And those that are
/// blank in fonts without being so by their properties: blank Braille, format controls of hieroglyphs, a null notehead and the
/// filler of Khitan script.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}'
            | '\u{13430}'..='\u{13455}'
            | '\u{16fe4}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_must_fit_into_a_subject() {
        assert_eq!(check("", true).unwrap_err().message(), "illegal uid");
        let long = "x".repeat(MAX_UID + 1);
        for bad in ["a b", "a\r\nPUB x", "a..b", ".", "a.", "foo.*.bar", "a.>", "*", ">", "\u{7f}", "\u{a0}", &long] {
            for invisible in [false, true] {
                assert_eq!(check(bad, invisible).unwrap_err().code(), "PIT-400", "{bad:?}");
            }
        }
        check("Zoë.do*e@example.com", false).unwrap();
    }

    #[test]
    fn what_nobody_sees_is_named_and_may_be_allowed() {
        let ranges = [0x200b..=0x200f, 0x202a..=0x202e, 0x2060..=0x2064, 0x2066..=0x2069, 0xe0001..=0xe007f];
        let single = [0xfeff, 0x61c, 0xad, 0x180e, 0xfe0f, 0x3164, 0x2800, 0x13430, 0x16fe4, 0x1d159];
        for point in ranges.into_iter().flatten().chain(single) {
            let uid = format!("zo{}e", char::from_u32(point).expect("a character"));
            let error = check(&uid, false).unwrap_err();
            let name = format!("U+{point:04X}");
            assert_eq!((error.code(), error.metadata().and_then(|all| all.get("character"))), ("PIT-400", Some(&name)));
            let text = error.message();
            assert!(text.contains(&format!("{name} behind 2 bytes")), "{text}");
            assert!(text.contains("`pitaya.session.bind.invisible`"), "{text}");
            assert!(!text.contains(&uid), "the text itself hides nothing");
            assert_eq!(check(&uid, true).unwrap(), uid);
        }
    }

    #[test]
    fn what_is_seen_is_a_uid_in_any_script() {
        for uid in
            ["Zoë", "zoe\u{308}", "Ελένη", "محمد", "שרה", "李小龍", "さくら", "한글", "ไทย", "देवी", "😀", "a-b_c+d"]
        {
            check(uid, false).unwrap();
        }
    }
}
