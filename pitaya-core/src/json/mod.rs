//! JSON texts of clients and Go servers: read as Go reads them, written so that Pomelo's clients read them.

mod escape;
mod fold;
mod lenient;

pub use escape::{escape_astral, escape_astral_tail};

use fold::AnyCase;
use lenient::or_repaired;
use serde::de::DeserializeOwned;

/// Reads a whole text. Where a strict reader fails, broken characters are read as U+FFFD, halves of a character in three
/// bytes each as the character, and of repeated names the last one counts: see [`Json`](crate::Json).
///
/// # Errors
/// When the text is not such a value. It is the error of a strict reader, with its line and column.
///
/// ```
/// let halves = b"\"\xed\xa0\xbd\xed\xb8\x82\"";
/// assert_eq!(pitaya_core::json::read::<String>(halves)?, "\u{1f602}");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[inline]
pub fn read<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    or_repaired(text, |text| serde_json::from_slice(text))
}

/// [`read`] that finds fields of structs without regard to case: see [`GoJson`](crate::GoJson).
#[inline]
pub(crate) fn read_any_case<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    or_repaired(text, |text| {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = T::deserialize(AnyCase(&mut reader))?;
        reader.end()?;
        Ok(value)
    })
}
