//! What is secret in a configuration stands in no output: a marker in every secret key is looked for everywhere.

use serde_json::json;

use super::*;
use crate::config::reference::variable;

const MARKER: &str = "mArKeR";

const TOKEN: &str = "pitaya.cluster.rpc.client.nats.auth.token";

/// Each key that holds a secret, with a value that has the marker in it: passwords, and addresses with logins.
fn secrets() -> Vec<(&'static str, Value)> {
    let mut secrets = Vec::new();
    Config::default().walk(&mut |key, setting| {
        if setting.secret() {
            // Keys for signatures have a least length.
            let times = if key.name.contains(".authentication.") { 5 } else { 1 };
            secrets.push((key.name, json!(format!("{MARKER}1").repeat(times))));
        } else if key.redacted {
            let one = format!("nats://user:{MARKER}2@a:1");
            let value = match setting.kind() {
                // It is the path of a file.
                _ if [".tls.", ".auth.", ".authentication."].iter().any(|part| key.name.contains(part)) => return,
                "list" => json!([one, format!("{MARKER}3@b:2")]),
                // A login is refused there.
                _ if key.name == "pitaya.metrics.statsd.host" => return,
                // And there, see below.
                _ if key.name == "pitaya.tracing.endpoint" => return,
                _ => json!(format!("{one},{MARKER}:{MARKER}4@b:2")),
            };
            secrets.push((key.name, value));
        }
    });
    secrets
}

fn with_users() -> Vec<(&'static str, Value)> {
    let users = [
        "pitaya.cluster.rpc.client.nats.auth.user",
        "pitaya.cluster.sd.etcd.user",
        "pitaya.groups.etcd.user",
        "pitaya.modules.bindingstorage.etcd.user",
    ];
    let mut all = secrets();
    // One way to log in at a time.
    all.retain(|(key, _)| *key != TOKEN);
    all.extend(users.map(|key| (key, json!("somebody"))));
    all
}

fn tree(values: &[(&str, Value)]) -> Value {
    let mut tree = json!({});
    for (key, value) in values {
        *key.split('.').fold(&mut tree, |place, name| &mut place[name]) = value.clone();
    }
    tree
}

fn assert_hidden(what: &str, text: &str) {
    assert!(!text.contains(MARKER), "{what}: {text}");
}

#[test]
fn secret_keys_are_all_there() {
    let keys: Vec<_> = secrets().into_iter().map(|(key, _)| key).collect();
    assert!(keys.len() >= 12, "{keys:?}");
    // A name that sounds like a secret is one.
    Config::default().walk(&mut |key, setting| {
        let name = key.name.rsplit('.').next().unwrap_or_default();
        let sounds = ["pass", "secret", "token", "seed"].iter().any(|word| name.contains(word));
        assert!(!sounds || setting.secret(), "{} is shown", key.name);
    });
}

#[test]
fn no_secret_is_in_debug_or_serde() {
    let file = tree(&with_users()).to_string();
    let mut loaded = load("config.json", &file, &[]).unwrap();
    loaded.config.cluster.rpc.client.nats.auth.token = crate::config::Secret::new(MARKER);
    // It was read: otherwise the rest would prove nothing.
    assert!(loaded.config.cluster.rpc.client.nats.connect.contains(MARKER));
    assert_eq!(loaded.config.worker.redis.password.expose(), format!("{MARKER}1"));
    for text in [
        format!("{loaded:?}"),
        format!("{:#?}", loaded.config),
        format!("{:?}", loaded.config.cluster),
        format!("{:?}", loaded.config.cluster.sd.etcd),
        format!("{:?}", loaded.config.worker.redis),
        serde_json::to_string(&loaded.config).unwrap(),
    ] {
        assert_hidden("a config", &text);
    }
    let shown = format!("{:?}", loaded.config.cluster.rpc.client.nats);
    assert!(shown.contains(r#"connect: "nats://..@a:1"#) || shown.contains(r#"connect: "nats://..@b:2""#), "{shown}");
}

#[test]
fn an_address_that_was_written_without_its_login_is_not_read_as_one() {
    let mut config = Config::default();
    config.cluster.rpc.client.nats.connect = "nats://user:word@a:1".to_owned();
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(written["cluster"]["rpc"]["client"]["nats"]["connect"], "nats://..@a:1");
    let error = serde_json::from_value::<Config>(written).unwrap_err().to_string();
    assert!(error.contains("the login of this address was left out when it was written; put it in again"), "{error}");
    // Without a login nothing is left out.
    config.cluster.rpc.client.nats.connect = "nats://a:1,nats://b:2".to_owned();
    let again = serde_json::from_value::<Config>(serde_json::to_value(&config).unwrap()).unwrap();
    assert_eq!(again, config);
}

#[test]
fn no_secret_is_in_an_error() {
    let all = with_users();
    for (key, value) in &secrets() {
        // Of another type, set twice, in a section's place, beside what is wrong, by each source.
        let wrong = [
            tree(&[(key, json!({"deeper": value}))]),
            tree(&[(key, json!([[value]]))]),
            tree(&[(key.rsplit_once('.').unwrap().0, value.clone())]),
            json!({"pitaya": tree(&[(&key["pitaya.".len()..], value.clone())]), *key: value}),
            tree(&[(&format!("{key}x"), value.clone()), ("pitaya.heartbeat.interval", json!("x"))]),
        ];
        for file in wrong {
            if let Err(errors) = load("config.json", &file.to_string(), &[]) {
                assert_hidden(key, &errors.to_string());
                assert_hidden(key, &format!("{errors:?}"));
            }
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let environment = [(&*variable(key), &*text), ("PITAYA_HEARTBEAT_INTERVAL", "x"), ("PITAYA_LIMITS", &text)];
        let errors = load_env(&environment).unwrap_err();
        assert_hidden(key, &format!("{errors} {errors:?}"));
    }
    let mut config = load("config.json", &tree(&all).to_string(), &[]).unwrap().config;
    config.cluster.sd.etcd.user.clear();
    config.tracing.endpoint = format!("ftp://user:{MARKER}@collector");
    config.heartbeat.interval = std::time::Duration::ZERO;
    let problems = config.validate();
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert_hidden("validate", &format!("{problems:?}"));
    config.tracing.endpoint = format!("http://user:{MARKER}@127.0.0.1:1");
    let problems = config.validate();
    assert!(format!("{problems:?}").contains("no login is wanted"), "{problems:?}");
    assert_hidden("validate", &format!("{problems:?}"));
}

/// A file that was cut off or damaged anywhere: the parser's error does not show what stands there.
#[test]
fn no_secret_is_in_the_error_of_a_parser() {
    let json = tree(&[("pitaya.worker.redis.password", json!(format!("{MARKER} {MARKER}")))]);
    let password = format!("{MARKER} \\\"{MARKER}");
    let files = [
        ("config.json", json.to_string()),
        ("config.toml", format!("[pitaya.worker.redis]\npassword = \"{password}\"\npool = 3\n")),
        ("config.yaml", format!("pitaya:\n  worker:\n    redis:\n      password: \"{password}\"\n      pool: 3\n")),
        ("config.yaml", format!("pitaya:\n  worker:\n    redis: {{password: {MARKER}, pool: 3}}\n")),
    ];
    let mut refused = 0;
    for (name, text) in files {
        for at in 0..text.len() {
            let damaged = ["\n", "\"", ": ", "}", "&a ", "*", "!!int "]
                .map(|junk| format!("{}{junk}{}", &text[..at], &text[at..]));
            for file in
                damaged.into_iter().chain([text[..at].to_owned(), format!("{}{}", &text[..at], &text[at + 1..])])
            {
                if let Err(errors) = load(name, &file, &[]) {
                    refused += 1;
                    // A part of it would be one too many.
                    for part in ["mArK", "ArKe", "rKeR"] {
                        assert!(!format!("{errors}{errors:?}").contains(part), "{file}\n{errors}");
                    }
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
}

/// A secret in the variable that should name its file.
#[test]
fn the_text_of_a_key_in_place_of_its_path_is_not_shown() {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{MARKER}\n-----END PRIVATE KEY-----\n");
    let environment = [("PITAYA_ACCEPTOR_TLS_KEY", &*pem), ("PITAYA_ACCEPTOR_TLS_CERTIFICATE", &*pem)];
    let text = load_env(&environment).unwrap_err().to_string();
    assert_hidden("error", &text);
    assert_eq!(text.matches("the path of a file is wanted, and this is what should be in it").count(), 2, "{text}");
    let mut config = Config::default();
    config.acceptor.tls.key = pem;
    assert_hidden("debug", &format!("{config:?}"));
    assert_hidden("serde", &serde_json::to_string(&config).unwrap());
}
