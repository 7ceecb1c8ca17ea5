//! Amounts of memory: `64KiB`, `1MiB`, `1500`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

const UNITS: [(&str, usize); 7] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

/// A number of bytes.
///
/// Read from an integer (bytes) or from a text with a unit, in any case: `B`, `KB`, `MB`, `GB` (powers of 1,000),
/// `KiB`, `MiB`, `GiB` (powers of 1,024). Written with the largest binary unit that fits without a rest.
///
/// ```
/// use pitaya_runtime::config::ByteSize;
///
/// let size: ByteSize = "64KiB".parse()?;
/// assert_eq!(size, ByteSize::kib(64));
/// assert_eq!(size.bytes(), 65_536);
/// # Ok::<(), pitaya_runtime::config::ByteSizeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(usize);

impl ByteSize {
    /// So many bytes.
    pub const fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// So many times 1,024 bytes.
    pub const fn kib(count: usize) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// So many times 1,048,576 bytes.
    pub const fn mib(count: usize) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// Why a text is not a number of bytes. The text says what would be accepted.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a number of bytes is wanted; write for example 65536, 64KiB or 1MiB")]
pub struct ByteSizeError;

crate::readable::debug_as_display!(ByteSizeError);

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = unit.trim_start().to_ascii_lowercase();
        let scale = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, scale)) => *scale,
            None if unit.is_empty() => 1,
            None => return Err(ByteSizeError),
        };
        let number: usize = number.parse().map_err(|_| ByteSizeError)?;
        number.checked_mul(scale).map(Self).ok_or(ByteSizeError)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            n if n.is_multiple_of(1 << 20) => write!(f, "{}MiB", n >> 20),
            n if n.is_multiple_of(1 << 10) => write!(f, "{}KiB", n >> 10),
            n => write!(f, "{n}B"),
        }
    }
}

/// Reads what a file may hold: a text or an integer.
pub(super) fn from_value(value: &Value) -> Result<ByteSize, ByteSizeError> {
    match value {
        Value::String(text) => text.parse(),
        Value::Number(number) => {
            number.as_u64().and_then(|n| usize::try_from(n).ok()).map(ByteSize).ok_or(ByteSizeError)
        }
        _ => Err(ByteSizeError),
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_value(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
