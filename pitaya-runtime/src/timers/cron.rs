//! Reads cron expressions and finds the times that they name.
//!
//! Where clocks go back, an hour comes twice: repeated patterns run in both, fixed times once, at the first. Where clocks
//! go forward, an hour is missing: fixed times in it run right after it, repeated ones are left out. The search is
//! croner's, over zones of jiff; `zone` and `pattern` read what stands around it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use croner::Cron;
use croner::errors::CronError;
use croner::parser::CronParser;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use pitaya_core::duration;

use super::TimerError;
use super::pattern::single;
use super::zone::Zone;

/// Changes of the clock behind which a search goes on.
const CHANGES: usize = 8;

/// Seconds that a clock may go forward for croner to find its way.
const GAP: i64 = 4 * 60 * 60;

/// When a timer runs, by a text.
#[derive(Debug)]
pub(super) enum Plan {
    /// At the times of a pattern.
    Times(Schedule),
    /// Again and again: `@every 5m`.
    Every(Duration),
}

impl Plan {
    /// Reads an expression; a zone in front of it holds in place of `zone`.
    pub(super) fn parse(expression: &str, zone: &Zone) -> Result<Self, TimerError> {
        let bad = |reason: String| TimerError::BadCron { expression: expression.to_owned(), reason };
        let (named, pattern) = split_zone(expression.trim());
        let zone = match named {
            Some(name) => Zone::named(name)?,
            None => zone.clone(),
        };
        let every = pattern.strip_prefix("@every");
        if let Some(interval) = every.filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            let interval = duration::parse(interval.trim());
            return interval
                .map(Self::Every)
                .map_err(|error| bad(format!("`@every` needs a time such as 5m: {error}")));
        }
        let parser = CronParser::new();
        let crons = single(pattern).iter().map(|pattern| parser.parse(pattern)).collect::<Result<_, _>>();
        let crons = crons.map_err(|error| bad(reason(error)))?;
        Ok(Self::Times(Schedule { crons, zone: zone.time_zone() }))
    }
}

/// Splits off `CRON_TZ=Europe/Berlin `, or `TZ=` as some write it.
fn split_zone(expression: &str) -> (Option<&str>, &str) {
    let named = expression.strip_prefix("CRON_TZ=").or_else(|| expression.strip_prefix("TZ="));
    let Some(rest) = named else { return (None, expression) };
    let (name, pattern) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    (Some(name), pattern.trim_start())
}

/// Patterns and the zone that they are read in.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Several where one expression lists several fixed times.
    crons: Vec<Cron>,
    zone: TimeZone,
}

impl Schedule {
    /// Whether there is anything to look for after this time: a wall clock beyond the year 9999 was never set.
    pub(super) fn reaches(from: SystemTime) -> bool {
        Timestamp::try_from(from).is_ok()
    }

    /// The first time after `from`, if there is one. Times are whole seconds.
    pub(super) fn next(&self, from: SystemTime) -> Option<SystemTime> {
        // A clock from before 1970 was never set: its times begin there.
        let from = from.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let from = Timestamp::from_second(from.try_into().ok()?).ok()?.to_zoned(self.zone.clone());
        let times = self.crons.iter().filter_map(|cron| self.next_of(cron, &from));
        let due = times.map(|due| due.timestamp().as_second()).min()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(due.try_into().ok()?))
    }
}

impl Schedule {
    /// The first time of one pattern. croner fails where it comes upon a time in a gap of more than some hours: a zone that
    /// crosses the date line leaves out a day. The search goes on behind the gap, which is where clocks change.
    fn next_of(&self, cron: &Cron, from: &Zoned) -> Option<Zoned> {
        cron.find_next_occurrence(from, false).ok().or_else(|| {
            let changes = self.zone.following(from.timestamp()).take(CHANGES).map(|change| change.timestamp());
            let offset = |at: Timestamp| i64::from(self.zone.to_offset(at).seconds());
            let wide =
                |at: &Timestamp| at.checked_sub(1.second()).is_ok_and(|before| offset(*at) - offset(before) > GAP);
            let mut behind = changes.filter(wide).map(|at| at.to_zoned(self.zone.clone()));
            behind.find_map(|from| cron.find_next_occurrence(&from, true).ok())
        })
    }
}

/// What croner says, without the names of its types.
fn reason(error: CronError) -> String {
    let text = match error {
        CronError::EmptyPattern => return "it is empty".to_owned(),
        CronError::InvalidPattern(text) | CronError::IllegalCharacters(text) | CronError::ComponentError(text) => text,
        other => other.to_string(),
    };
    text.trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests;
