//! The time zones of cron expressions.

use super::TimerError;
use jiff::tz::TimeZone;

/// The time zone in which a cron expression is read.
///
/// When clocks go back, an hour comes twice: fixed times in it (`0 30 2 * * *`) run once, at the first, and repeated ones
/// (`0 */5 * * * *`) in both. When clocks go forward, an hour is missing: fixed times in it run right after it, and repeated
/// ones are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Zone {
    /// Coordinated universal time: the same on every server, no hour that comes twice or not at all.
    #[default]
    Utc,
    /// The zone of the machine: `TZ`, else `/etc/localtime`, else UTC.
    Local,
    /// A zone by its name, as [`Zone::named`] makes it.
    Named(NamedZone),
}

/// A zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedZone(TimeZone);

impl Zone {
    /// The zone with this IANA name, such as `Europe/Berlin`. Its rules are those of the system, or of the copy in this
    /// program where the system has none.
    ///
    /// # Errors
    /// When no zone has the name.
    pub fn named(name: &str) -> Result<Self, TimerError> {
        let zone = TimeZone::get(name).map_err(|_| TimerError::UnknownZone { name: name.to_owned() })?;
        Ok(Self::Named(NamedZone(zone)))
    }

    pub(super) fn time_zone(self) -> TimeZone {
        match self {
            Self::Utc => TimeZone::UTC,
            Self::Local => TimeZone::try_system().unwrap_or(TimeZone::UTC),
            Self::Named(NamedZone(zone)) => zone,
        }
    }
}
