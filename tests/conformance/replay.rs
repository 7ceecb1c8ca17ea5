//! What clients said to a Go server, said to ours.

use pitaya_core::wire::packet::HEARTBEAT;
use pitaya_tests::PATIENCE;
use pitaya_tests::client::{Client, Heard};
use pitaya_tests::compare::{Codec, assert_same};
use pitaya_tests::process::Conformance;
use pitaya_tests::vectors::{Answer, Exchange, Outcome, exchanges};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A server and the clients it has, each with its own connection.
pub(crate) struct Replay {
    address: SocketAddr,
    codec: Codec,
    compress: bool,
    clients: BTreeMap<String, Client>,
}

impl Replay {
    pub(crate) fn new(server: &Conformance, codec: Codec, compress: bool) -> Self {
        Self { address: server.address(), codec, compress, clients: BTreeMap::new() }
    }

    /// Sends what was sent, and compares what comes with what came.
    pub(crate) fn run(&mut self, exchange: &Exchange) {
        let note = format!("{}: {}", exchange.client, exchange.note);
        self.client(&exchange.client).send(&exchange.sent);
        for Answer { client, outcome } in &exchange.answers {
            let (codec, compress) = (self.codec, self.compress);
            let client = self.client(client);
            match outcome {
                Outcome::Packet(recorded) if *recorded == HEARTBEAT => {
                    assert_eq!(client.next(PATIENCE), Heard::Packet(HEARTBEAT.to_vec()), "{note}");
                }
                Outcome::Packet(recorded) => assert_same(&client.packet(), recorded, codec, compress, &note),
                Outcome::Closed => assert_eq!(client.packet_or_end(), None, "{note}"),
                Outcome::Silence => panic!("{note}: silence is proved by what comes after it"),
            }
        }
    }

    /// The connection of a client, opened when it first appears.
    pub(crate) fn client(&mut self, name: &str) -> &mut Client {
        self.clients.entry(name.to_owned()).or_insert_with(|| Client::tcp(self.address))
    }
}

/// Why an exchange needs a second server, if it does.
fn skipped(exchange: &Exchange) -> Option<&'static str> {
    let route = exchange.route()?;
    match route.split('.').collect::<Vec<_>>()[..] {
        ["game", ..] => Some("a route of the server type `game`"),
        [.., method] if method.starts_with("testsendrpc") => Some("an RPC to another server"),
        // `nobody` has no server: that there is none can be answered alone.
        _ => None,
    }
}

/// Replays a case, and says how many exchanges were replayed, and how many were not for which reason.
fn replay(case: &str, codec: Codec, compress: bool) -> (usize, BTreeMap<&'static str, usize>) {
    let serializer = if codec == Codec::Json { "json" } else { "protobuf" };
    let flags = ["-type", "connector", "-serializer", serializer, &format!("-compress={compress}")];
    let server = Conformance::start(&flags, &[("PITAYA_HEARTBEAT_INTERVAL", "3s")]);
    let mut replay = Replay::new(&server, codec, compress);
    let (mut replayed, mut left_out) = (0, BTreeMap::new());
    for exchange in exchanges(|name| name.starts_with(case) && !name.ends_with("-heartbeat")) {
        if let Some(reason) = skipped(&exchange) {
            *left_out.entry(reason).or_default() += 1;
            continue;
        }
        replay.run(&exchange);
        replayed += 1;
        // The recorder listened to the sender alone; the other member of the group hears it too.
        if exchange.note == "notify connector.testsvc.testsendgroupmsg" {
            let Outcome::Packet(push) = &exchange.answers[0].outcome else { panic!("{exchange:?}") };
            assert_same(&replay.client(&format!("{case}-b")).packet(), push, codec, compress, "the other member");
        }
    }
    (replayed, left_out)
}

const JSON: [(&str, usize); 2] = [("a route of the server type `game`", 20), ("an RPC to another server", 7)];
const PROTOBUF: [(&str, usize); 1] = [("a route of the server type `game`", 14)];

#[test]
fn json_compressed() {
    assert_eq!(replay("conformance-json", Codec::Json, true), (28, JSON.into()));
}

#[test]
fn json_plain() {
    assert_eq!(replay("conformance-json", Codec::Json, false), (28, JSON.into()));
}

#[test]
fn protobuf_compressed() {
    assert_eq!(replay("conformance-protobuf", Codec::Protobuf, true), (27, PROTOBUF.into()));
}

#[test]
fn protobuf_plain() {
    assert_eq!(replay("conformance-protobuf", Codec::Protobuf, false), (27, PROTOBUF.into()));
}
