//! Brokers, and in them what Go's servers left.

use crate::bus::Bus;
use pitaya_tests::compare::Codec;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer;
use pitaya_tests::process::Conformance;
use serde_json::Value;
use std::time::Instant;

/// A broker and an etcd of this test alone, and what is said there.
pub(crate) struct World {
    nats: NatsServer,
    etcd: Etcd,
    pub(crate) bus: Bus,
}

/// One of our servers.
pub(crate) struct Server {
    pub(crate) process: Conformance,
    pub(crate) id: String,
    /// Where it is called.
    pub(crate) subject: String,
    /// When it said that it was ready.
    pub(crate) ready: Instant,
}

impl World {
    pub(crate) fn start() -> Self {
        let (nats, etcd) = (NatsServer::start(&[]), Etcd::start());
        let bus = Bus::listen(&nats);
        Self { nats, etcd, bus }
    }

    /// A server that is nothing but its record, key and value. To be there before ours starts.
    pub(crate) fn register(&self, key: &str, value: &str) {
        let _ = self.etcd.ctl(&["put", &format!("pitaya/{key}"), value]);
    }

    /// Starts our backend of this type.
    pub(crate) fn backend(&self, kind: &str, codec: Codec) -> Server {
        self.server(kind, &["-frontend=false", "-serializer", codec.name()], &[])
    }

    /// Starts our frontend.
    pub(crate) fn frontend(&self, codec: Codec, compress: bool, env: &[(&str, &str)]) -> Server {
        let compress = format!("-compress={compress}");
        self.server("connector", &["-addr", "127.0.0.1:0", "-serializer", codec.name(), &compress], env)
    }

    /// Starts a server of ours.
    pub(crate) fn server(&self, kind: &str, flags: &[&str], env: &[(&str, &str)]) -> Server {
        let before = self.records(kind);
        let (url, endpoint) = (self.nats.url(), self.etcd.endpoint());
        let mut all = vec![
            ("PITAYA_CLUSTER_RPC_CLIENT_NATS_CONNECT", &*url),
            ("PITAYA_CLUSTER_RPC_SERVER_NATS_CONNECT", &*url),
            ("PITAYA_CLUSTER_SD_ETCD_ENDPOINTS", &*endpoint),
        ];
        all.extend(env);
        let process = Conformance::launch(&[&["-type", kind], flags].concat(), &all);
        let ready = Instant::now();
        let mut records = self.records(kind);
        records.retain(|record| !before.contains(record));
        let [record] = &records[..] else { panic!("one record more: {records:#?}") };
        let id = record.0.clone();
        Server { process, subject: format!("pitaya/servers/{kind}/{id}"), id, ready }
    }

    /// The ids of the servers of a type, and the values and leases of their records.
    pub(crate) fn records(&self, kind: &str) -> Vec<(String, String, String)> {
        let prefix = format!("pitaya/servers/{kind}/");
        let answer = self.etcd.ctl(&["get", "--prefix", &prefix, "-w", "json"]);
        let answer: Value = serde_json::from_str(&answer).expect("etcdctl writes JSON");
        let text = |value: &Value| {
            let bytes =
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value.as_str().expect("text"));
            String::from_utf8(bytes.expect("base64")).expect("text")
        };
        let records = answer["kvs"].as_array().into_iter().flatten();
        let id = |key: String| key.strip_prefix(&prefix).expect("asked for").to_owned();
        records.map(|kv| (id(text(&kv["key"])), text(&kv["value"]), kv["lease"].to_string())).collect()
    }
}
