//! How files are written: encodings, merge keys, names that stand twice.

use std::time::Duration;

use super::*;

/// The same settings in each format.
const FILES: [(&str, &str); 3] = [
    ("config.yaml", "pitaya:\n  heartbeat:\n    interval: 7s\n"),
    ("config.toml", "[pitaya.heartbeat]\ninterval = '7s'\n"),
    ("config.json", r#"{"pitaya": {"heartbeat": {"interval": "7s"}}}"#),
];

fn load_bytes(name: &str, bytes: &[u8]) -> Result<Loaded, ConfigErrors> {
    let file = TestFile::new(name, "");
    fs::write(&file.path, bytes).unwrap();
    Config::from_sources(Some(&file.path), variables(&[]))
}

#[test]
fn a_byte_order_mark_changes_nothing() {
    for (name, text) in FILES {
        let loaded = load(name, &format!("\u{feff}{text}"), &[]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!(loaded.config.heartbeat.interval, Duration::from_secs(7), "{name}");
        assert_eq!(loaded.warnings, [], "{name}");
    }
}

#[test]
fn another_encoding_is_named() {
    for (name, text) in FILES {
        let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let errors = load_bytes(name, &utf16).unwrap_err();
        assert_eq!(
            messages(&errors),
            [format!("{name}: cannot be read: it is UTF-16 (little-endian), not UTF-8: save it as UTF-8")]
        );
    }
    let latin1 = load_bytes("config.yaml", b"pitaya:\n  metrics: {game: \"M\xfcnchen\"}\n").unwrap_err();
    assert_eq!(messages(&latin1), ["config.yaml: cannot be read: it is not UTF-8: see line 2, byte 21"]);
}

#[test]
fn mappings_of_yaml_are_merged_as_gos_parser_merges_them() {
    let file = "
base: &base
  interval: 7s
more: &more
  interval: 8s
etcd: &etcd {prefix: 'one/', dialtimeout: 9s}
pitaya:
  heartbeat:
    <<: *base
  session:
    drain:
      <<: {enabled: true, timeout: 1m}
      timeout: 2m
  conn:
    ratelimiting:
      <<: [*base, *more]
  groups:
    etcd:
      Prefix: 'two/'
      <<: *etcd
";
    let config = load("config.yaml", file, &[]).unwrap().config;
    assert_eq!(config.heartbeat.interval, Duration::from_secs(7));
    assert!(config.session.drain.enabled);
    assert_eq!(config.session.drain.timeout, Duration::from_secs(120), "the mapping's own entry wins");
    assert_eq!(config.conn.ratelimiting.interval, Duration::from_secs(7), "the first of a list wins");
    let groups = &config.groups.etcd;
    assert_eq!((&*groups.prefix, groups.dialtimeout.as_secs()), ("two/", 9), "names do not depend on case");

    let errors = load("config.yaml", "pitaya: {heartbeat: {<<: 5s}}", &[]).unwrap_err();
    assert!(errors.to_string().contains("`<<` takes a mapping or a list of mappings"), "{errors}");
}

#[test]
fn a_name_that_stands_twice_is_refused_in_each_format() {
    for (name, text, expected) in [
        (
            "config.json",
            "{\"pitaya\": {\"heartbeat\": {\"interval\": \"7s\",\n \"interval\": \"8s\"}}}",
            "config.json: line 2, column 11: `interval` is set twice here; leave one",
        ),
        (
            "config.json",
            "{\"pitaya\": {\"session\": {}},\n \"pitaya\": {}}",
            "config.json: line 2, column 9: `pitaya` is set twice here; leave one",
        ),
        (
            "config.yaml",
            "pitaya:\n  heartbeat:\n    interval: 7s\n    interval: 8s\n",
            "config.yaml: line 4, column 15: `interval` is set twice here; leave one",
        ),
    ] {
        assert_eq!(messages(&load(name, text, &[]).unwrap_err()), [expected]);
    }
    let errors = load("config.toml", "[pitaya.heartbeat]\ninterval = '7s'\ninterval = '8s'\n", &[]).unwrap_err();
    assert_eq!(messages(&errors), ["config.toml: line 3, column 1: `interval` is set twice here; leave one"]);
}

#[test]
fn aliases_and_levels_of_yaml_are_bounded() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", ")));
    }
    let errors = load("config.yaml", &bomb, &[]).unwrap_err().to_string();
    assert!(errors.contains("line 5, ") && errors.contains("more than 100000 values"), "{errors}");
    let merges = bomb.replace("[x, x, x, x, x, x, x, x, x, x]", "{x: 1}").replace('[', "{<<: [").replace(']', "]}");
    let errors = load("config.yaml", &merges, &[]).unwrap_err().to_string();
    assert!(errors.contains("more than 100000 values"), "{errors}");
    let block: String = (0..3000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    for deep in [format!("{}{}", "[".repeat(100), "]".repeat(100)), block, format!("{}1", "- ".repeat(3000))] {
        let errors = load("config.yaml", &deep, &[]).unwrap_err().to_string();
        assert!(errors.contains("nested more than 64 levels deep"), "{errors}");
    }
}

#[test]
fn values_of_each_format_come_as_they_are_written() {
    for (name, text) in [
        (
            "config.toml",
            "[pitaya.metrics]\nconstlabels = {a = 1, b = 0x10, c = true, d = 2.5, e = 2024-01-02, f = inf}\n",
        ),
        ("config.yaml", "pitaya: {metrics: {constlabels: {a: 1, b: 0x10, c: true, d: 2.5, e: 2024-01-02, f: .inf}}}"),
        (
            "config.json",
            r#"{"pitaya": {"metrics": {"constlabels": {"a": 1, "b": 16, "c": true, "d": 2.5, "e": "2024-01-02", "f": "inf"}}}}"#,
        ),
    ] {
        let labels = load(name, text, &[]).unwrap_or_else(|errors| panic!("{errors}")).config.metrics.constlabels;
        let values: Vec<_> = labels.values().map(String::as_str).collect();
        assert_eq!(values, ["1", "16", "true", "2.5", "2024-01-02", "inf"], "{name}");
    }
    for (name, text) in [("config.json", "[1]"), ("config.yaml", "[1]"), ("config.yaml", "a: 1\n---\nb: 2\n")] {
        load(name, text, &[]).unwrap_err();
    }
}
