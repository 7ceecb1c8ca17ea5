//! Which times does a cron expression name?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local, TimeZone, Utc};
use croner::Cron;
use croner::errors::CronError;

use super::TimerError;

/// The time zone in which a cron expression is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Zone {
    /// Coordinated universal time: the same on every server, no hour that comes twice or not at all.
    #[default]
    Utc,
    /// The zone of the machine (`TZ`, else `/etc/localtime`). When summer time skips an hour, fixed times in it
    /// (`0 30 2 * * *`) run right after it and repeated ones (`0 */5 * * * *`) are left out.
    Local,
}

/// A cron expression that was understood, and its zone.
#[derive(Debug)]
pub(super) struct Schedule {
    cron: Cron,
    zone: Zone,
}

impl Schedule {
    pub(super) fn parse(expression: &str, zone: Zone) -> Result<Self, TimerError> {
        match expression.parse() {
            Ok(cron) => Ok(Self { cron, zone }),
            Err(error) => Err(TimerError::BadCron { expression: expression.to_owned(), reason: reason(error) }),
        }
    }

    /// The first time after `from`, if there is one. Times are whole seconds.
    pub(super) fn next(&self, from: SystemTime) -> Option<SystemTime> {
        match self.zone {
            Zone::Utc => next_in(&Utc, &self.cron, from),
            Zone::Local => next_in(&Local, &self.cron, from),
        }
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

fn next_in<Z: TimeZone>(zone: &Z, cron: &Cron, from: SystemTime) -> Option<SystemTime> {
    // A clock from before 1970 was never set: its times begin there.
    let from = from.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let from = DateTime::from_timestamp(from.try_into().ok()?, 0)?;
    let due = cron.find_next_occurrence(&from.with_timezone(zone), false).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(due.timestamp().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    fn at(text: &str) -> SystemTime {
        DateTime::parse_from_rfc3339(text).unwrap().into()
    }

    fn utc(expression: &str, from: &str) -> Option<SystemTime> {
        Schedule::parse(expression, Zone::Utc).unwrap().next(at(from))
    }

    #[test]
    fn the_next_time_lies_after_the_given_one() {
        assert_eq!(utc("0 */5 * * * *", "2026-01-01T00:04:59.9Z"), Some(at("2026-01-01T00:05:00Z")));
        assert_eq!(utc("0 */5 * * * *", "2026-01-01T00:05:00Z"), Some(at("2026-01-01T00:10:00Z")));
        assert_eq!(utc("0 */5 * * * *", "2026-01-01T00:05:00.5Z"), Some(at("2026-01-01T00:10:00Z")));
    }

    #[test]
    fn seconds_may_be_left_out_and_years_and_nicknames_given() {
        assert_eq!(utc("30 4 * * MON-FRI", "2026-01-02T05:00:00Z"), Some(at("2026-01-05T04:30:00Z")));
        assert_eq!(utc("0 0 0 1 1 * 2030", "2026-01-02T05:00:00Z"), Some(at("2030-01-01T00:00:00Z")));
        assert_eq!(utc("@daily", "2026-01-02T05:00:00Z"), Some(at("2026-01-03T00:00:00Z")));
        assert_eq!(utc("0 0 0 29 2 *", "2026-01-02T05:00:00Z"), Some(at("2028-02-29T00:00:00Z")));
    }

    #[test]
    fn a_day_begins_when_it_does_in_the_zone() {
        let tokyo = FixedOffset::east_opt(9 * 3600).unwrap();
        let daily: Cron = "0 0 4 * * *".parse().unwrap();
        let next = next_in(&tokyo, &daily, at("2026-01-01T00:00:00Z"));
        assert_eq!(next, Some(at("2026-01-02T04:00:00+09:00")));
    }

    #[test]
    fn the_local_zone_is_that_of_the_machine() {
        let schedule = Schedule::parse("0 0 4 * * *", Zone::Local).unwrap();
        let next: DateTime<Local> = schedule.next(at("2026-01-01T00:00:00Z")).unwrap().into();
        assert_eq!(next.format("%H:%M:%S").to_string(), "04:00:00");
    }

    #[test]
    fn what_never_comes_is_none() {
        assert_eq!(utc("0 0 0 30 2 *", "2026-01-01T00:00:00Z"), None);
        assert_eq!(utc("0 0 0 1 1 * 2020", "2026-01-01T00:00:00Z"), None);
    }

    #[test]
    fn odd_clocks_do_no_harm() {
        let schedule = Schedule::parse("0 * * * * *", Zone::Utc).unwrap();
        assert_eq!(schedule.next(UNIX_EPOCH - Duration::from_secs(5)), Some(UNIX_EPOCH + Duration::from_secs(60)));
        if let Some(far) = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX as u64 / 2)) {
            assert_eq!(schedule.next(far), None);
        }
    }

    #[test]
    fn a_bad_expression_is_quoted_and_a_good_one_shown() {
        for bad in ["", "every day", "0 0 25 * * *", "* * * *", "0 0 0 0 0 0 0 0", "61 * * * * *"] {
            let error = Schedule::parse(bad, Zone::Utc).unwrap_err().to_string();
            eprintln!("{error}");
            assert!(error.starts_with(&format!("`{bad}` is not a cron expression: ")), "{error}");
            assert!(error.contains("`0 */5 * * * *`"), "{error}");
        }
    }
}
