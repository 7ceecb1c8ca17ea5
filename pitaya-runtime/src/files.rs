//! Reads the text files that people write.

use pitaya_core::text::decode;
use std::path::Path;
use std::{fs, io};

/// Reads a text file in UTF-8, without a byte order mark.
///
/// # Errors
///
/// The system's error; `InvalidData` with a [`TextError`](pitaya_core::text::TextError) for a file in another encoding.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    decode(fs::read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
