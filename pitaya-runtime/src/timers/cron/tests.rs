use super::*;
use jiff::Span;
use jiff::civil::DateTime;

fn at(text: &str) -> SystemTime {
    let time: Timestamp = text.parse().unwrap();
    time.into()
}

fn parse(expression: &str, zone: &Zone) -> Result<Schedule, TimerError> {
    match Plan::parse(expression, zone)? {
        Plan::Times(schedule) => Ok(schedule),
        Plan::Every(interval) => panic!("times, not {interval:?}"),
    }
}

fn utc(expression: &str, from: &str) -> Option<SystemTime> {
    parse(expression, &Zone::Utc).unwrap().next(at(from))
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
fn a_range_of_days_goes_around_the_week() {
    // The second of January 2026 is a Friday.
    let days = ["01-02", "01-03", "01-04", "01-05", "01-09"];
    let mut from = at("2026-01-01T12:00:00Z");
    let schedule = parse("0 4 * * FRI-MON", &Zone::Utc).unwrap();
    for day in days {
        from = schedule.next(from).unwrap();
        assert_eq!(from, at(&format!("2026-{day}T04:00:00Z")));
    }
}

#[test]
fn a_zone_may_stand_in_front() {
    let tokyo = Zone::named("Asia/Tokyo").unwrap();
    let next = |expression: &str, zone: &Zone| parse(expression, zone).unwrap().next(at("2026-01-01T00:00:00Z"));
    assert_eq!(next("0 0 4 * * *", &tokyo), Some(at("2026-01-02T04:00:00+09:00")));
    assert_eq!(next("CRON_TZ=Europe/Berlin 0 4 * * *", &tokyo), Some(at("2026-01-01T04:00:00+01:00")));
    assert_eq!(next("TZ=America/New_York   @daily", &Zone::Utc), Some(at("2026-01-01T00:00:00-05:00")));
    for unknown in ["CRON_TZ=Europe/Berln 0 4 * * *", "CRON_TZ= 0 4 * * *"] {
        let error = parse(unknown, &Zone::Utc).unwrap_err();
        assert!(error.to_string().contains("write an IANA name, such as `Europe/Berlin`"), "{error}");
    }
}

#[test]
fn every_so_often_is_an_interval() {
    for (expression, seconds) in [("@every 5m", 300), ("CRON_TZ=UTC @every 1h30m", 5400), ("@every   2s", 2)] {
        let plan = Plan::parse(expression, &Zone::Utc).unwrap();
        assert!(matches!(plan, Plan::Every(every) if every == Duration::from_secs(seconds)), "{plan:?}");
    }
    for bad in ["@every", "@every soon", "@every -5m"] {
        let error = Plan::parse(bad, &Zone::Utc).unwrap_err();
        assert!(error.to_string().contains("`@every` needs a time such as 5m"), "{error}");
    }
}

#[test]
fn the_local_zone_is_that_of_the_machine() {
    let schedule = parse("0 0 4 * * *", &Zone::Local).unwrap();
    let next = Timestamp::try_from(schedule.next(at("2026-01-01T00:00:00Z")).unwrap()).unwrap();
    assert_eq!(next.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string(), "04:00:00");
}

#[test]
fn what_never_comes_is_none() {
    assert_eq!(utc("0 0 0 30 2 *", "2026-01-01T00:00:00Z"), None);
    assert_eq!(utc("0 0 0 1 1 * 2020", "2026-01-01T00:00:00Z"), None);
}

/// The day of 30 December 2011 was left out in Samoa.
#[test]
fn a_day_that_is_left_out_ends_nothing() {
    let apia = Zone::named("Pacific/Apia").unwrap();
    for (expression, hours) in [("0 0 4 * * *", 24), ("0 30 * * * *", 1), ("0 0 0 * * *", 24)] {
        let schedule = parse(expression, &apia).unwrap();
        let mut from = at("2011-12-28T12:00:00Z");
        for _ in 0..100 {
            let next = schedule.next(from).unwrap();
            assert!(
                next.duration_since(from).unwrap() <= Duration::from_secs((hours + 1) * 3600),
                "{expression} after {from:?}"
            );
            from = next;
        }
    }
}

#[test]
fn odd_clocks_do_no_harm() {
    let schedule = parse("0 * * * * *", &Zone::Utc).unwrap();
    assert_eq!(schedule.next(UNIX_EPOCH - Duration::from_secs(5)), Some(UNIX_EPOCH + Duration::from_secs(60)));
    if let Some(far) = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX as u64 / 2)) {
        assert_eq!(schedule.next(far), None);
    }
}

#[test]
fn a_bad_expression_is_quoted_and_a_good_one_shown() {
    for bad in [
        "",
        "@every5m",
        "@everysoon",
        "every day",
        "0 0 25 * * *",
        "* * * *",
        "0 0 0 0 0 0 0 0",
        "61 * * * * *",
        "CRON_TZ=UTC",
    ] {
        let error = parse(bad, &Zone::Utc).unwrap_err().to_string();
        eprintln!("{error}");
        assert!(error.starts_with(&format!("`{bad}` is not a cron expression: ")), "{error}");
        assert!(error.contains("`0 */5 * * * *`"), "{error}");
    }
}

/// A zone whose clock changes at this moment.
struct Change {
    zone: &'static str,
    /// In UTC.
    at: &'static str,
}

const BACK: [Change; 3] = [
    Change { zone: "Europe/Berlin", at: "2026-10-25T01:00:00Z" },
    Change { zone: "Europe/London", at: "2026-10-25T01:00:00Z" },
    // By half an hour.
    Change { zone: "Australia/Lord_Howe", at: "2026-04-04T15:00:00Z" },
];

const FORWARD: [Change; 3] = [
    Change { zone: "Europe/Berlin", at: "2026-03-29T01:00:00Z" },
    Change { zone: "Europe/London", at: "2026-03-29T01:00:00Z" },
    Change { zone: "Australia/Lord_Howe", at: "2026-10-03T15:30:00Z" },
];

impl Change {
    fn moment(&self) -> Timestamp {
        self.at.parse().unwrap()
    }

    fn time_zone(&self) -> TimeZone {
        TimeZone::get(self.zone).unwrap()
    }

    /// The time on the wall this long after the change, or before it.
    fn wall(&self, after: Span) -> DateTime {
        (self.moment() + after).to_zoned(self.time_zone()).datetime()
    }

    /// Checks the times from four hours before the change to four hours after it, wherever one begins: a restart is a
    /// beginning, too.
    fn runs_at(&self, expression: &str, expected: &[Timestamp]) {
        let schedule = parse(&format!("CRON_TZ={} {expression}", self.zone), &Zone::Utc).unwrap();
        for minutes in (-240..240).step_by(5) {
            for second in [0, 1] {
                let from = self.moment() + minutes.minutes() + second.seconds();
                let next = Timestamp::try_from(schedule.next(from.into()).unwrap()).unwrap();
                match expected.iter().find(|time| **time > from) {
                    Some(first) => assert_eq!(next, *first, "{expression} in {} after {from}", self.zone),
                    None => assert!(next > self.moment() + 4.hours(), "{expression} in {} after {from}", self.zone),
                }
            }
        }
    }

    /// All seconds around the change at which the wall shows a time that `fits`.
    fn all(&self, fits: impl Fn(DateTime) -> bool) -> Vec<Timestamp> {
        let (moment, zone) = (self.moment(), self.time_zone());
        let seconds = (-4 * 3600..=4 * 3600).map(|second| moment + second.seconds());
        seconds.filter(|time| fits(time.to_zoned(zone.clone()).datetime())).collect()
    }
}

#[test]
fn repeated_times_run_whenever_the_wall_shows_them() {
    type Fits = fn(DateTime) -> bool;
    let table: [(&str, Fits); 6] = [
        ("0 */15 * * * *", |time| time.minute() % 15 == 0 && time.second() == 0),
        ("*/10 * * * * *", |time| time.second() % 10 == 0),
        ("0 30 * * * *", |time| (time.minute(), time.second()) == (30, 0)),
        ("0 */20 2 * * *", |time| time.hour() == 2 && time.minute() % 20 == 0 && time.second() == 0),
        ("5 0-10/5 1-2 * * *", |time| {
            (1..=2).contains(&time.hour()) && [0, 5, 10].contains(&time.minute()) && time.second() == 5
        }),
        ("0 0 * * * *", |time| (time.minute(), time.second()) == (0, 0)),
    ];
    for change in BACK.iter().chain(&FORWARD) {
        for (expression, fits) in table {
            // Every ten seconds is much to check from each beginning: the others are all.
            change.runs_at(expression, &change.all(fits));
        }
    }
    // What was lost: four runs, and an hour of seconds.
    let [berlin, london, _] = &BACK;
    assert_eq!(berlin.all(|time| time.hour() == 2 && time.minute() % 15 == 0 && time.second() == 0).len(), 8);
    let schedule = parse("* * * * * *", &Zone::named(london.zone).unwrap()).unwrap();
    let (mut time, end) = (at("2026-10-25T00:00:00Z"), at("2026-10-25T02:00:00Z"));
    for second in 1..=7200 {
        time = schedule.next(time).unwrap();
        assert_eq!(time, at("2026-10-25T00:00:00Z") + Duration::from_secs(second));
    }
    assert_eq!(time, end);
}

#[test]
fn fixed_times_run_once_at_the_first() {
    for change in &BACK {
        // Ten minutes after the clock was set back, and so also before.
        let wall = change.wall(10.minutes());
        let twice = change.all(|time| time == wall);
        assert_eq!(twice.len(), 2, "{} comes twice in {}", wall, change.zone);
        let (hour, minute) = (wall.hour(), wall.minute());
        change.runs_at(&format!("0 {minute} {hour} * * *"), &twice[..1]);
        // Two times in one expression: this one, and one that comes once.
        let once = change.all(|time| (time.hour(), time.minute(), time.second()) == (4, minute, 0));
        assert_eq!(once.len(), 1);
        change.runs_at(&format!("0 {minute} {hour},4 * * *"), &[twice[0], once[0]]);
        let later = change.all(|time| (time.hour(), time.minute(), time.second()) == (hour, minute + 7, 0))[0];
        change.runs_at(&format!("0 {minute},{} {hour} * * *", minute + 7), &[twice[0], later]);
    }
}

#[test]
fn fixed_times_that_are_left_out_run_right_after() {
    for change in &FORWARD {
        let before = change.wall(-1.seconds());
        // Ten minutes into what is left out.
        let missing = before.checked_add(601.seconds()).unwrap();
        assert!(change.all(|time| time == missing).is_empty(), "{missing} does not come in {}", change.zone);
        let (hour, minute) = (missing.hour(), missing.minute());
        change.runs_at(&format!("0 {minute} {hour} * * *"), &[change.moment()]);
        change.runs_at(&format!("0 {minute},{} {hour} * * *", minute + 5), &[change.moment()]);
        let once = change.all(|time| (time.hour(), time.minute(), time.second()) == (4, 10, 0));
        change.runs_at("0 10 4 * * *", &once);
    }
}
