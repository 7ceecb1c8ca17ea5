//! How often: `5/s`.

use pitaya_core::duration;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// So many in a time, such as messages: a bucket that holds `count` tokens and is filled evenly, all of it in `per`. Who
/// has been quiet may send `count` at once.
///
/// ```
/// use pitaya_runtime::config::Rate;
/// use std::time::Duration;
///
/// assert_eq!("5/s".parse(), Ok(Rate::per_second(5)));
/// assert_eq!("100/1m30s".parse(), Ok(Rate::new(100, Duration::from_secs(90))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per: Duration,
}

/// Why a text is not a rate. The text says what would be accepted.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a rate is wanted, of at least 1; write for example 5/s, 20/500ms or 100/1m30s")]
pub struct RateError;

crate::readable::debug_as_display!(RateError);

impl Rate {
    /// `count` in this time. Of either at least the smallest there is: one, in a nanosecond.
    #[must_use]
    pub const fn new(count: u32, per: Duration) -> Self {
        let per = if per.is_zero() { Duration::from_nanos(1) } else { per };
        Self { count: if count == 0 { 1 } else { count }, per }
    }

    /// `count` a second.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// How many at once, and in [`per`](Self::per).
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The time after which there may be as many again.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.per
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, per) = text.split_once('/').ok_or(RateError)?;
        let (count, per) = (count.trim().parse().map_err(|_| RateError)?, per.trim());
        // `5/s` is `5/1s`.
        let per = if per.starts_with(|c: char| c.is_ascii_alphabetic()) { format!("1{per}") } else { per.to_owned() };
        let per = duration::parse(&per).ok().filter(|per| !per.is_zero()).ok_or(RateError)?;
        if count == 0 { Err(RateError) } else { Ok(Self::new(count, per)) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, duration::format(self.per))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_and_written() {
        for (text, count, millis) in [("5/s", 5, 1_000), ("20/500ms", 20, 500), (" 1 / 2m ", 1, 120_000)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate, Rate::new(count, Duration::from_millis(millis)), "{text}");
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        for wrong in ["", "5", "/s", "0/s", "5/", "5/0s", "-5/s", "5/x", "five/s"] {
            assert_eq!(wrong.parse::<Rate>(), Err(RateError), "{wrong}");
        }
    }
}
