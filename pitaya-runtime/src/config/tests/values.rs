//! How single values are read and written.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{
    ByteSize, CustomMetric, Rate,
    duration::{DurationError, format, parse},
    setting::Setting,
};

#[test]
fn durations_are_read_as_go_reads_them() {
    // From the table of `TestParseDuration` in Go's time package.
    for (text, nanos) in [
        ("0", 0),
        ("5s", 5_000_000_000),
        ("30s", 30_000_000_000),
        ("1478s", 1_478_000_000_000),
        ("+5s", 5_000_000_000),
        ("5.0s", 5_000_000_000),
        ("5.6s", 5_600_000_000),
        ("5.s", 5_000_000_000),
        (".5s", 500_000_000),
        ("1.0040s", 1_004_000_000),
        ("10ns", 10),
        ("11us", 11_000),
        ("12\u{b5}s", 12_000),
        ("12\u{3bc}s", 12_000),
        ("13ms", 13_000_000),
        ("15m", 900_000_000_000),
        ("16h", 57_600_000_000_000),
        ("3h30m", 12_600_000_000_000),
        ("10.5s4m", 250_500_000_000),
        ("4m10.5s", 250_500_000_000),
        ("1h15m30.918273645s", 4_530_918_273_645),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 1_200_000_000_000 - 1),
        ("9223372036854775807ns", i64::MAX as u64),
        ("0.9223372036854775807h", 3_320_413_933_267),
    ] {
        assert_eq!(parse(text).unwrap().as_nanos(), u128::from(nanos), "{text}");
    }
}

#[test]
fn what_is_no_duration_says_so() {
    for (text, error) in [
        ("", DurationError::Empty),
        ("3", DurationError::NoUnit("3".to_owned())),
        ("1m30", DurationError::NoUnit("30".to_owned())),
        ("s", DurationError::Number("s".to_owned())),
        (".", DurationError::Number(".".to_owned())),
        (".s", DurationError::Number(".s".to_owned())),
        ("1.2.3s", DurationError::Number("1.2.3s".to_owned())),
        ("5x", DurationError::Unit("x".to_owned())),
        ("1d", DurationError::Unit("d".to_owned())),
        ("3 s", DurationError::Unit(" s".to_owned())),
        ("-5s", DurationError::Negative),
        ("9223372036854775808ns", DurationError::TooLong),
        ("3000000h", DurationError::TooLong),
        ("9223372036s999999999999ns", DurationError::TooLong),
        ("99999999999999999999999999999999999999999999h", DurationError::TooLong),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

#[test]
fn durations_are_written_short() {
    for (text, short) in [
        ("0s", "0s"),
        ("90s", "1m30s"),
        ("6h0m0s", "6h"),
        ("120s", "2m"),
        ("1h0m1s", "1h1s"),
        ("1500ms", "1.5s"),
        ("300000us", "300ms"),
        ("1500us", "1.5ms"),
        ("1ns", "1ns"),
    ] {
        assert_eq!(format(parse(text).unwrap()), short);
    }
}

#[test]
fn integers_count_nanoseconds_unless_they_are_a_slip() {
    let mut duration = Duration::ZERO;
    duration.read(&json!(30_000_000_000u64)).unwrap();
    assert_eq!(duration, Duration::from_secs(30));
    duration.read(&json!(0)).unwrap();
    assert_eq!(duration, Duration::ZERO);
    let error = duration.read(&json!(30)).unwrap_err();
    assert_eq!(error, "an integer counts nanoseconds, so this is 30ns; write for example 30s or 1m30s");
    for wrong in [json!(-1), json!(1.5), json!(u64::MAX), json!(true), json!([])] {
        duration.read(&wrong).unwrap_err();
    }
}

#[test]
fn sizes_are_read_with_units() {
    for (text, bytes) in [
        ("0", 0),
        ("1500", 1500),
        ("1500B", 1500),
        ("64KiB", 65_536),
        ("64 kib", 65_536),
        ("64KB", 64_000),
        ("1MiB", 1 << 20),
        ("1GiB", 1 << 30),
    ] {
        assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
    }
    for text in ["", "KiB", "-1", "1.5MiB", "64K", "1TiB", "99999999999999999999", "18446744073709551615KiB"] {
        text.parse::<ByteSize>().unwrap_err();
    }
    assert_eq!(ByteSize::new(65_537).to_string(), "65537B");
    assert_eq!(serde_json::from_value::<ByteSize>(json!(4096)).unwrap().to_string(), "4KiB");
}

#[test]
fn rates_of_routes_are_read_in_every_spelling() {
    let expected = BTreeMap::from([
        ("game.room.say".to_owned(), Rate::per_second(5)),
        ("room.Move".to_owned(), Rate::new(100, Duration::from_secs(10))),
    ]);
    let quoted = "[pitaya.limits.routes]\n\"game.room.say\" = \"5/s\"\n\"room.Move\" = \"100/10s\"\n";
    let bare = "[pitaya.limits.routes]\ngame.room.say = \"5/s\"\nroom.Move = \"100/10s\"\n";
    let nested = "pitaya:\n  limits:\n    routes:\n      game.room.say: 5/s\n      room: {Move: 100/10s}\n";
    let variable = [("PITAYA_LIMITS_ROUTES", "game.room.say=5/s, room.Move = 100/10s")];
    for loaded in [
        load("config.toml", quoted, &[]),
        load("config.toml", bare, &[]),
        load("config.yaml", nested, &[]),
        load_env(&variable),
    ] {
        assert_eq!(loaded.unwrap().config.limits.routes, expected);
    }
    assert_eq!(
        load_env(&[("PITAYA_LIMITS_MESSAGES", "50/s")]).unwrap().config.limits.messages,
        Some(Rate::per_second(50))
    );
    for (name, value, why) in [
        ("PITAYA_LIMITS_MESSAGES", "fast", "a rate is wanted, of at least 1; write for example 5/s"),
        ("PITAYA_LIMITS_ROUTES", "room.say", "write a table, or one text like game.room.say=5/s"),
        ("PITAYA_LIMITS_ROUTES", "room.say=0/s", "`0/s`: a rate is wanted, of at least 1"),
    ] {
        let text = messages(&load_env(&[(name, value)]).unwrap_err()).join("; ");
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn networks_are_read_and_the_wrong_one_is_named() {
    let trusted = |list: &str| load_env(&[("PITAYA_ACCEPTOR_TRUSTEDPROXIES", list)]);
    let networks = trusted("10.0.0.0/8, 192.0.2.7").unwrap().config.acceptor.trustedproxies;
    assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.7/32"]);
    let text = messages(&trusted("10.0.0.0/8,10.0.0.0/33").unwrap_err()).join("; ");
    assert!(text.contains("`10.0.0.0/33`: networks are wanted; write for example 10.0.0.0/8"), "{text}");
}

#[test]
fn values_are_as_weakly_typed_as_gos() {
    let mut flag = false;
    for text in ["1", "t", "T", "true", "TRUE", "True"] {
        flag = false;
        flag.read(&json!(text)).unwrap();
        assert!(flag, "{text}");
    }
    flag.read(&json!(0)).unwrap();
    assert!(!flag);
    flag.read(&json!("yes")).unwrap_err();

    let mut number = 0u32;
    number.read(&json!("7")).unwrap();
    assert_eq!(number, 7);
    number.read(&json!(8.0)).unwrap();
    assert_eq!(number, 8);
    for wrong in [json!(8.5), json!(-1), json!("x"), json!([8])] {
        number.read(&wrong).unwrap_err();
    }
    assert_eq!(number, 8, "a value that is refused changes nothing");

    let mut retries = 0i32;
    retries.read(&json!("-1")).unwrap();
    assert_eq!(retries, -1);

    let mut text = String::new();
    text.read(&json!(10)).unwrap();
    assert_eq!(text, "10");

    let mut list = Vec::<String>::new();
    list.read(&json!("a:1, b:2,")).unwrap();
    assert_eq!(list, ["a:1", "b:2"]);
    list.read(&json!(["c", 3])).unwrap();
    assert_eq!(list, ["c", "3"]);
    list.read(&json!([["c"]])).unwrap_err();

    let mut map = BTreeMap::<String, String>::new();
    map.read(&json!("Zone=3, env=live")).unwrap();
    assert_eq!(map, BTreeMap::from([("Zone".to_owned(), "3".to_owned()), ("env".to_owned(), "live".to_owned())]));
    map.read(&json!("zone")).unwrap_err();
}

#[test]
fn custom_metrics_are_read_from_gos_demo() {
    let file = "\
pitaya:
  metrics:
    prometheus: {enabled: true}
    constlabels: {Zone: three}
    custom:
      counters:
      - {Subsystem: room, Name: my_counter, Help: a counter example, Labels: [tag1, tag2]}
      histograms:
      - {name: h, buckets: [1, 2.5]}
      summaries:
      - subsystem: room
        name: my_summary
        help: a summary example
        objectives: {0.7: 0.05, 0.9: 0.01, 0.99: 0.001}
        labels: ['tag1']
";
    let metrics = load("config.yaml", file, &[]).unwrap().config.metrics;
    assert!(metrics.prometheus.enabled);
    assert_eq!(metrics.constlabels["Zone"], "three", "the names of labels keep their case");
    assert_eq!(metrics.custom.counters[0].labels, ["tag1", "tag2"]);
    assert_eq!(metrics.custom.histograms[0].buckets, [1.0, 2.5]);
    assert_eq!(metrics.custom.summaries[0].objectives, [(0.7, 0.05), (0.9, 0.01), (0.99, 0.001)]);

    let mut again = Vec::<CustomMetric>::new();
    again.read(&metrics.custom.summaries.value()).unwrap();
    assert_eq!(again, metrics.custom.summaries);

    for wrong in [r#"[{"nam": "x"}]"#, r#"[{"name": ""}]"#, r#"[{"name": "x", "buckets": [1]}]"#, "[", "{}"] {
        let errors = load_env(&[("PITAYA_METRICS_CUSTOM_COUNTERS", wrong)]).unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
    }
    for (histogram, why) in [
        (r#"{"name": "h", "buckets": []}"#, "`buckets` is empty"),
        (r#"{"name": "h", "buckets": [5, 1]}"#, "`h`: each of the buckets must be above the one before"),
        (r#"{"name": "h", "buckets": [1, 1]}"#, "`h`: each of the buckets must be above the one before"),
    ] {
        let errors = load_env(&[("PITAYA_METRICS_CUSTOM_HISTOGRAMS", &format!("[{histogram}]"))]).unwrap_err();
        assert!(errors.0.len() == 1 && errors.to_string().contains(why), "{errors}");
    }
    let twice = r#"[{"name": "s", "objectives": {"0.5": 0.1, "0.50": 0.1}}]"#;
    let errors = load_env(&[("PITAYA_METRICS_CUSTOM_SUMMARIES", twice)]).unwrap_err();
    assert!(errors.to_string().contains("`s`: an objective is there twice"), "{errors}");
    let errors = load_env(&[("PITAYA_LOG_LEVEL", "loud")]).unwrap_err().to_string();
    assert!(
        errors.contains("pitaya.log.level = \"loud\" (PITAYA_LOG_LEVEL): `loud` is none of the levels"),
        "{errors}"
    );
    for size in ["511", "64KiB"] {
        let errors = load_env(&[("PITAYA_METRICS_STATSD_DATAGRAM", size)]).unwrap_err();
        assert!(errors.to_string().contains("must be from 512 to 65507 bytes"), "{errors}");
    }
}

proptest! {
    #[test]
    fn durations_come_back_as_they_were_written(nanos in prop_oneof![0..=i64::MAX as u64, 0u64..10_000_000_000]) {
        let duration = Duration::from_nanos(nanos);
        prop_assert_eq!(parse(&format(duration)), Ok(duration));
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "[0-9.+smhun\u{b5}KiB -]{0,40}|.*") {
        let _ = parse(&text);
        let _ = text.parse::<ByteSize>();
        let _ = load_env(&[("PITAYA_METRICS_CUSTOM_GAUGES", &text), ("PITAYA_METRICS_STATSD_RATE", &text), (&text, "")]);
    }

    #[test]
    fn sizes_come_back_as_they_were_written(bytes in any::<usize>()) {
        prop_assert_eq!(ByteSize::new(bytes).to_string().parse(), Ok(ByteSize::new(bytes)));
    }

    #[test]
    fn no_file_makes_the_loader_panic(text in "([a-z.:{}\\[\\]\"'= \n-]|pitaya|session|: |  |\n){0,60}") {
        for name in ["config.toml", "config.yaml", "config.json"] {
            let _ = load(name, &text, &[]);
        }
    }
}
