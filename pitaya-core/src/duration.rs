//! Durations as Go writes them: `300ms`, `30s`, `1m30s`, `1.5h`.
//!
//! The functions [`serialize`] and [`deserialize`] make this module usable for an application's own settings:
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Match {
//!     #[serde(with = "pitaya_core::duration")]
//!     countdown: std::time::Duration,
//! }
//! let own: Match = serde_json::from_str(r#"{"countdown": "1m30s"}"#)?;
//! assert_eq!(own.countdown.as_secs(), 90);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use serde_json::Value;

/// Go counts durations in an `i64` of nanoseconds (292 years); a longer one could not be written back for a Go server.
const LONGEST: u128 = i64::MAX as u128;

const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;

/// The units of Go's `time.ParseDuration`; both micro signs of Unicode are in use.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];

const EXAMPLE: &str = "write for example 30s or 1m30s";

/// Why a text is not a duration. The text says what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing but blanks.
    #[error("a duration is missing; {EXAMPLE}")]
    Empty,
    /// No digits where a number must stand.
    #[error("a number is missing at `{0}`; {EXAMPLE}")]
    Number(String),
    /// A number without a unit. Only `0` needs none.
    #[error("the unit is missing after `{0}`; {EXAMPLE}")]
    NoUnit(String),
    /// A unit that Go does not know either.
    #[error("unknown unit `{0}`; {EXAMPLE}")]
    Unit(String),
    /// No setting can be less than nothing.
    #[error("a duration cannot be negative; {EXAMPLE}")]
    Negative,
    /// More than Go's 292 years.
    #[error("too long: the longest duration is {}", format(Duration::from_nanos(i64::MAX as u64)))]
    TooLong,
}

/// Reads a duration: one or more numbers, each with a unit out of `ns`, `us`, `ms`, `s`, `m` and `h`, or `0`.
///
/// What is finer than a nanosecond is cut off, as in Go.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(DurationError::Negative);
    }
    match rest {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(Duration::ZERO),
        _ => {}
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, after) = split(after, |c| c.is_ascii_digit() || c == '.');
        total += nanoseconds(number, unit)?;
        if total > LONGEST {
            return Err(DurationError::TooLong);
        }
        rest = after;
    }
    // Within LONGEST, so it fits.
    Ok(Duration::from_nanos(total as u64))
}

fn split(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// One number and its unit, at most a little over `LONGEST`: the caller's sum cannot overflow.
fn nanoseconds(number: &str, unit: &str) -> Result<u128, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::Number(format!("{number}{unit}")));
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit(number.to_owned()));
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(DurationError::Unit(unit.to_owned()));
    };
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| DurationError::TooLong)? };
    let whole = whole.checked_mul(*scale).filter(|n| *n <= LONGEST).ok_or(DurationError::TooLong)?;
    // Eighteen digits of the largest unit reach far below a nanosecond.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = fraction.parse::<u128>().map_or(0, |digits| digits * scale / 10u128.pow(fraction.len() as u32));
    Ok(whole + part)
}

/// Writes a duration so that this module and Go read the same one back: `1m30s`, `300ms`, `0s`.
///
/// Unlike Go's `String`, parts that are zero are left out: `6h`, not `6h0m0s`.
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < SECOND {
        let (unit, scale) = match nanos {
            1_000_000.. => ("ms", 1_000_000),
            1_000.. => ("us", 1_000),
            _ => ("ns", 1),
        };
        return decimal(nanos, scale) + unit;
    }
    let mut text = String::new();
    for (unit, count) in [("h", nanos / HOUR), ("m", nanos % HOUR / MINUTE)] {
        if count > 0 {
            text += &format!("{count}{unit}");
        }
    }
    if !nanos.is_multiple_of(MINUTE) {
        text += &decimal(nanos % MINUTE, SECOND);
        text += "s";
    }
    text
}

fn decimal(nanos: u128, scale: u128) -> String {
    if nanos.is_multiple_of(scale) {
        return (nanos / scale).to_string();
    }
    let width = scale.ilog10() as usize;
    let text = format!("{}.{:0width$}", nanos / scale, nanos % scale);
    text.trim_end_matches('0').to_owned()
}

/// Reads what a file may hold: a text, or an integer that counts nanoseconds, as Go does.
///
/// # Errors
/// A text that says what would be accepted.
pub fn from_value(value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => parse(text).map_err(|error| error.to_string()),
        Value::Number(number) => match number.as_u64() {
            // Nobody means 10 ns by `conntimeout = 10`; Go would take it and fail far from here.
            Some(nanos @ 1..1_000_000) => {
                Err(format!("an integer counts nanoseconds, so this is {nanos}ns; {EXAMPLE}"))
            }
            Some(nanos) if u128::from(nanos) <= LONGEST => Ok(Duration::from_nanos(nanos)),
            Some(_) => Err(DurationError::TooLong.to_string()),
            None if number.as_f64().is_some_and(|n| n < 0.0) => Err(DurationError::Negative.to_string()),
            None => Err(DurationError::NoUnit(number.to_string()).to_string()),
        },
        _ => Err(format!("a duration is wanted; {EXAMPLE}")),
    }
}

/// For `#[serde(with = "pitaya_core::duration")]`: writes what [`format()`] gives.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `#[serde(with = "pitaya_core::duration")]`: a text as for [`parse`], or an integer of nanoseconds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    from_value(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same for an `Option<Duration>`: `#[serde(default, with = "pitaya_core::duration::option")]`.
pub mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer, Value, from_value};
    use serde::de::Error as _;

    /// Writes what [`format()`](super::format()) gives, or null.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// A text as for [`parse`](super::parse), an integer of nanoseconds, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let value = Option::<Value>::deserialize(deserializer)?;
        value.as_ref().map(from_value).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    // The same table is in the tests of `pitaya_macros::duration`, which reads the durations of attributes.
    #[test]
    fn durations_are_those_of_attributes() {
        for (text, expected) in [
            ("1ms", 1),
            ("300ms", 300),
            ("2s", 2_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("24h", 86_400_000),
            ("0.25m", 15_000),
            ("1.0005s", 1_000),
        ] {
            assert_eq!(parse(text).map(|duration| duration.as_millis()), Ok(expected), "{text}");
        }
    }
}
