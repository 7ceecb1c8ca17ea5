//! For every key: it exists once, it can be set from everywhere, it is in the reference.

use std::{env, fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::config::{
    ByteSize, duration,
    keys::legacy::{ALIASES, RETIRED},
    reference,
    reference::variable,
};

/// A value of the key's type that is not the default, and that is valid with all other defaults.
fn another(key: &str, kind: &str, default: &Value) -> Value {
    let text = default.as_str().unwrap_or_default();
    match kind {
        "bool" => json!(!default.as_bool().unwrap()),
        "integer" => json!(default.as_i64().unwrap() + 1),
        "number" => json!(default.as_f64().unwrap() / 2.0),
        "text" if key == "pitaya.tracing.endpoint" => json!("http://collector:4317"),
        "text" if key == "pitaya.metrics.statsd.host" => json!("localhost:9126"),
        "text" if key == "pitaya.log.level" => json!("warn"),
        "text, not shown" if key == "pitaya.cluster.rpc.authentication.keys" => json!("k".repeat(32)),
        "text" | "text, not shown" => json!(format!("{text}x")),
        "duration" => {
            let longer = duration::parse(text).unwrap() + std::time::Duration::from_secs(1);
            json!(duration::format(longer))
        }
        "size" if key == "pitaya.limits.buffers" => json!("64MiB"),
        "size" => json!(ByteSize::new(text.parse::<ByteSize>().unwrap().bytes() + 1).to_string()),
        "name" => json!("protobuf"),
        "TLS version" => json!("1.3"),
        "user topics" => json!("always"),
        "list" => json!(["a", "b"]),
        "list of networks" => json!(["10.0.0.0/8", "2001:db8::/32"]),
        "rate" => json!("50/1s"),
        "map of rates" => json!({"zone": "5/1s"}),
        "map of durations" => json!({"zone.match.find": "5s"}),
        "map" => json!({"zone": "three"}),
        "list of metrics" => {
            json!([{"subsystem": "room", "name": "players", "help": "who is here", "labels": ["zone"]}])
        }
        other => panic!("{key}: no sample for the type {other}"),
    }
}

/// A key whose value is only valid together with another key.
fn companion(key: &str) -> Option<(&'static str, Value)> {
    match key {
        "pitaya.acceptor.proxyprotocol" => Some(("pitaya.acceptor.trustedproxies", json!(["10.0.0.0/8"]))),
        "pitaya.limits.accept.burst" => Some(("pitaya.limits.accept.rate", json!(5))),
        "pitaya.cluster.rpc.client.nats.auth.pass" => Some(("pitaya.cluster.rpc.client.nats.auth.user", json!("u"))),
        "pitaya.cluster.rpc.client.nats.tls.certificate" => {
            Some(("pitaya.cluster.rpc.client.nats.tls.key", json!("k")))
        }
        "pitaya.cluster.rpc.client.nats.tls.key" => {
            Some(("pitaya.cluster.rpc.client.nats.tls.certificate", json!("c")))
        }
        "pitaya.cluster.sd.etcd.tls.certificate" => Some(("pitaya.cluster.sd.etcd.tls.key", json!("k"))),
        "pitaya.cluster.sd.etcd.tls.key" => Some(("pitaya.cluster.sd.etcd.tls.certificate", json!("c"))),
        "pitaya.groups.etcd.tls.certificate" => Some(("pitaya.groups.etcd.tls.key", json!("k"))),
        "pitaya.groups.etcd.tls.key" => Some(("pitaya.groups.etcd.tls.certificate", json!("c"))),
        "pitaya.modules.bindingstorage.etcd.tls.certificate" => {
            Some(("pitaya.modules.bindingstorage.etcd.tls.key", json!("k")))
        }
        "pitaya.modules.bindingstorage.etcd.tls.key" => {
            Some(("pitaya.modules.bindingstorage.etcd.tls.certificate", json!("c")))
        }
        "pitaya.cluster.rpc.authentication.unsigned" => {
            Some(("pitaya.cluster.rpc.authentication.keys", json!("k".repeat(32))))
        }
        "pitaya.cluster.sd.etcd.user" => Some(("pitaya.cluster.sd.etcd.pass", json!("p"))),
        "pitaya.cluster.sd.etcd.pass" => Some(("pitaya.cluster.sd.etcd.user", json!("u"))),
        "pitaya.groups.etcd.user" => Some(("pitaya.groups.etcd.pass", json!("p"))),
        "pitaya.groups.etcd.pass" => Some(("pitaya.groups.etcd.user", json!("u"))),
        "pitaya.modules.bindingstorage.etcd.user" => Some(("pitaya.modules.bindingstorage.etcd.pass", json!("p"))),
        "pitaya.modules.bindingstorage.etcd.pass" => Some(("pitaya.modules.bindingstorage.etcd.user", json!("u"))),
        _ => None,
    }
}

fn json_file(values: &[(&str, Value)]) -> String {
    let mut tree = json!({});
    for (key, value) in values {
        *key.split('.').fold(&mut tree, |place, name| &mut place[name]) = value.clone();
    }
    tree.to_string()
}

fn yaml_file(values: &[(&str, Value)]) -> String {
    let mut text = String::new();
    for (key, value) in values {
        let parts: Vec<&str> = key.split('.').collect();
        let (last, sections) = parts.split_last().unwrap();
        // With a companion both stand in the same section, which must be opened once.
        if text.is_empty() {
            for (depth, section) in sections.iter().enumerate() {
                text += &format!("{}{section}:\n", "  ".repeat(depth));
            }
        }
        text += &format!("{}{last}: {value}\n", "  ".repeat(sections.len()));
    }
    text
}

fn toml_file(values: &[(&str, Value)]) -> String {
    values.iter().map(|(key, value)| format!("{key} = {}\n", toml_value(value))).collect()
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let fields: Vec<_> = table.iter().map(|(name, value)| format!("{name} = {}", toml_value(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn environment_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(environment_text).collect::<Vec<_>>().join(",")
        }
        Value::Object(table) => table
            .iter()
            .map(|(name, value)| format!("{name}={}", environment_text(value)))
            .collect::<Vec<_>>()
            .join(","),
        other => other.to_string(),
    }
}

/// No key is dead: setting it, alone, by each source changes that field, and no other.
#[test]
fn every_key_can_be_set_by_each_source() {
    let defaults = settings(&Config::default());
    let mut keys = Vec::new();
    Config::default().walk(&mut |key, setting| keys.push((key.name, setting.kind())));

    for (key, kind) in keys {
        let value = another(key, kind, &defaults[key]);
        let mut values = vec![(key, value.clone())];
        values.extend(companion(key));
        let mut expected = defaults.clone();
        expected.extend(values.clone());

        let environment: Vec<_> = values.iter().map(|(key, value)| (variable(key), environment_text(value))).collect();
        let sources = [
            ("toml", load("config.toml", &toml_file(&values), &[])),
            ("yaml", load("config.yaml", &yaml_file(&values), &[])),
            ("json", load("config.json", &json_file(&values), &[])),
            ("environment", Config::from_sources(None, environment)),
        ];
        for (source, loaded) in sources {
            let loaded = loaded.unwrap_or_else(|errors| panic!("{key} by {source}: {errors}"));
            assert_eq!(settings(&loaded.config), expected, "{key} by {source}");
            assert_eq!(loaded.warnings, [], "{key} by {source}");
            assert_ne!(loaded.config, Config::default(), "{key} by {source}");
        }
    }
}

#[test]
fn every_name_is_lower_case_and_means_one_thing() {
    let keys = settings(&Config::default());
    let legacy = ALIASES.iter().map(|alias| alias.name).chain(RETIRED.iter().map(|retired| retired.name));
    for name in keys.keys().copied().chain(legacy.clone()) {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'.'), "{name}: a variable could not be told back");
    }
    for name in legacy {
        assert!(!keys.contains_key(name), "{name} is a key");
    }
    for alias in ALIASES {
        assert!(keys.contains_key(alias.key), "{} stands for no key", alias.name);
    }
}

#[test]
fn every_path_follows_the_fields() {
    // The path of a section is written by hand; serde's tree is made of the paths, the struct of the fields.
    let mut config = Config::default();
    config.cluster.rpc.server.nats.buffer.push = 7;
    config.modules.bindingstorage.etcd.prefix = "other/".to_owned();
    let tree = serde_json::to_value(&config).unwrap();
    assert_eq!(tree["cluster"]["rpc"]["server"]["nats"]["buffer"]["push"], 7);
    assert_eq!(tree["modules"]["bindingstorage"]["etcd"]["prefix"], "other/");
    assert_eq!(serde_json::from_value::<Config>(tree).unwrap(), config);

    // Debug names the fields in the order of the keys, so the two can be compared for the whole tree.
    let mut path = vec!["pitaya".to_owned()];
    let mut fields = Vec::new();
    for line in format!("{:#?}", Config::default()).lines().skip(1) {
        let depth = (line.len() - line.trim_start().len()) / 4;
        path.truncate(depth);
        if let Some((name, _)) = line.trim().split_once(": ") {
            path.push(name.to_owned());
            fields.push(path.join("."));
        }
    }
    for key in settings(&Config::default()).keys() {
        assert!(fields.iter().any(|field| field == key), "{key} is not the path of its field");
    }
}

#[test]
fn every_key_of_gos_is_known() {
    // What Go's config structs and its map of defaults name, misprints included.
    let lines: String = include_str!("go_keys.txt").lines().map(|key| format!("{key}: null\n")).collect();
    load("config.yaml", &lines, &[]).unwrap();
}

#[test]
fn config_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    if !path.parent().unwrap().exists() {
        return; // a published crate is tested without the pages beside it
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, reference()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == reference(),
        "docs/config.md is not what the keys say; run UPDATE_DOCS=1 cargo test -p pitaya-runtime config_reference"
    );
    for key in settings(&Config::default()).keys() {
        assert!(committed.contains(&format!("| `{key}` | `{}` |", variable(key))), "{key} is missing");
    }
}
