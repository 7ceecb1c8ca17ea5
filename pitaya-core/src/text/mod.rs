//! Text that people write in files: decoding, PEM, and what of it may be shown.
//!
//! Whatever the project reads from a file goes through [`decode`], so that a byte order mark never changes its meaning. A
//! private key goes through [`pem`], whose errors hold nothing of the file but line numbers; what is shown of an address
//! goes through [`redact`].

pub mod der;
mod key;
pub mod pem;
mod redact;

pub use key::{KeyError, key_error};
pub use pem::{BlockKind, PemError};
pub use redact::{HIDDEN, redact};

/// The byte order mark as UTF-8 writes it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Why a file is no text. Nothing of its content is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// It begins as texts in another encoding do.
    #[error("it is {0}, not UTF-8: save it as UTF-8")]
    Encoding(&'static str),
    /// It has bytes that UTF-8 has not.
    #[error("it is not UTF-8: see line {line}, byte {column}")]
    Utf8 {
        /// The line of the first such byte, from 1 on.
        line: usize,
        /// Its place in the line, in bytes, from 1 on.
        column: usize,
    },
}

/// Reads the bytes of a text file, without the byte order mark that some editors put in front.
///
/// # Errors
///
/// When the bytes are not UTF-8: with the name of the encoding if it can be told, with the place otherwise.
pub fn decode(bytes: Vec<u8>) -> Result<String, TextError> {
    let mut bytes = bytes;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    } else if let Some(encoding) = foreign(&bytes) {
        return Err(TextError::Encoding(encoding));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (before, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        TextError::Utf8 { line, column: before.len() - line_start + 1 }
    })
}

/// The encoding of a text whose first bytes tell it: by a byte order mark, or by the zeros beside its first letter.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] => Some("UTF-16 (little-endian)"),
        [0xfe, 0xff, ..] => Some("UTF-16 (big-endian)"),
        [1..=0x7f, 0, 1..=0x7f, 0, ..] => Some("UTF-16 (little-endian)"),
        [0, 1..=0x7f, 0, 1..=0x7f, ..] => Some("UTF-16 (big-endian)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        for (bytes, text) in
            [("\u{feff}a: b", "a: b"), ("a", "a"), ("", ""), ("\u{feff}", ""), ("ä\u{feff}", "ä\u{feff}")]
        {
            assert_eq!(decode(bytes.into()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_encodings_are_named() {
        for text in ["\u{feff}pitaya", "pitaya"] {
            assert_eq!(decode(utf16(text, u16::to_le_bytes)), Err(TextError::Encoding("UTF-16 (little-endian)")));
            assert_eq!(decode(utf16(text, u16::to_be_bytes)), Err(TextError::Encoding("UTF-16 (big-endian)")));
        }
        assert_eq!(decode(vec![0xff, 0xfe, 0, 0, b'a', 0, 0, 0]), Err(TextError::Encoding("UTF-32")));
        let error = decode(b"one\ntwo \xfc".to_vec()).unwrap_err();
        assert_eq!(error, TextError::Utf8 { line: 2, column: 5 });
        assert_eq!(error.to_string(), "it is not UTF-8: see line 2, byte 5");
    }
}
