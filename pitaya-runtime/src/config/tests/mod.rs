//! Tests of the configuration as a whole.

mod formats;
mod keys;
mod load;
mod secrets;
mod values;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{Config, ConfigErrors, Loaded, keys::Section};

/// A file in a folder of its own, gone at the end of the test.
struct TestFile {
    path: PathBuf,
    _folder: TempDir,
}

impl TestFile {
    fn new(name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        Self { path, _folder: folder }
    }
}

fn load(name: &str, text: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let file = TestFile::new(name, text);
    Config::from_sources(Some(&file.path), variables(environment))
}

fn load_env(environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    Config::from_sources(None, variables(environment))
}

fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Every key with its value; secrets as they are.
fn settings(config: &Config) -> BTreeMap<&'static str, Value> {
    let mut config = config.clone();
    let secrets = [
        ("pitaya.cluster.sd.etcd.pass", &config.cluster.sd.etcd.pass),
        ("pitaya.cluster.rpc.authentication.keys", &config.cluster.rpc.authentication.keys),
        ("pitaya.groups.etcd.pass", &config.groups.etcd.pass),
        ("pitaya.modules.bindingstorage.etcd.pass", &config.modules.bindingstorage.etcd.pass),
        ("pitaya.worker.redis.password", &config.worker.redis.password),
        ("pitaya.cluster.rpc.client.nats.auth.pass", &config.cluster.rpc.client.nats.auth.pass),
        ("pitaya.cluster.rpc.client.nats.auth.token", &config.cluster.rpc.client.nats.auth.token),
    ]
    .map(|(key, secret)| (key, Value::from(secret.expose())));
    let mut all = BTreeMap::new();
    config.walk(&mut |key, setting| {
        let double = all.insert(key.name, setting.value());
        assert_eq!(double, None, "{} is declared twice", key.name);
    });
    all.extend(secrets);
    all
}

/// The messages without the folder, which is another one in each run.
fn messages(errors: &ConfigErrors) -> Vec<String> {
    let name = |problem: &super::ConfigProblem| {
        let text = problem.to_string();
        match (text.find('/'), text.rfind("/config.")) {
            (Some(start), Some(end)) => format!("{}{}", &text[..start], &text[end + 1..]),
            _ => text,
        }
    };
    errors.0.iter().map(name).collect()
}
