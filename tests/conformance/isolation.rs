//! Apps in this very process: what only an app can be made to do, and that two of them share nothing.

use pitaya_core::wire::packet::ACK;
use pitaya_core::wire::{HandshakeData, MessageKind, PacketKind};
use pitaya_runtime::prelude::*;
use pitaya_runtime::{BoxFuture, Refusal, Validator};
use pitaya_tests::client::{Client, HANDSHAKE, Heard};
use serde_json::json;
use std::time::Duration;
use tokio::task::spawn_blocking;

#[derive(serde::Serialize, serde::Deserialize)]
struct Name {
    name: String,
}

struct Desk {
    place: &'static str,
}

#[handler]
impl Desk {
    pub(crate) fn place(&self) -> Name {
        Name { name: self.place.to_owned() }
    }

    pub(crate) async fn bind(&self, session: &Session, app: &App) -> Result<Raw> {
        session.bind("someone").await?;
        Ok(Raw::from(format!("{} here", app.sessions().count())))
    }
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Count {
    #[prost(uint32, tag = "1")]
    number: u32,
}

struct Counter;

#[handler(name = "desk", codec = Protobuf)]
impl Counter {
    pub(crate) fn place(&self, count: Count) -> Count {
        Count { number: count.number + 1 }
    }

    pub(crate) async fn bind(&self, session: &Session, app: &App) -> Result<Raw> {
        session.bind("someone").await?;
        Ok(Raw::from(format!("{} here", app.sessions().count())))
    }
}

/// Pushes to a client that has not even been answered.
struct Eager;

impl Validator for Eager {
    fn validate<'a>(&'a self, session: &'a Session, _: &'a HandshakeData) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move { session.push_raw("early", b"bird").map_err(|e| Refusal::from(e.to_string())) })
    }
}

/// Go's client throws away what comes with the answer to its handshake.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_between_the_handshake_and_its_acknowledgement() {
    let app = Builder::new("desk").acceptor(Tcp::bind("127.0.0.1:0")).validate_handshake("eager", Eager);
    let app = app.handlers(Desk { place: "here" }).build().unwrap();
    app.start().await.unwrap();
    let address = app.addresses()[0];
    spawn_blocking(move || {
        let mut client = Client::tcp(address);
        client.send_packet(PacketKind::Handshake, HANDSHAKE);
        assert_eq!(client.packet()[0], PacketKind::Handshake as u8);
        assert_eq!(client.next(Duration::from_millis(300)), Heard::Nothing, "not a byte");
        client.send(&ACK);
        let push = client.message();
        assert_eq!((push.kind, &*push.route, push.text()), (MessageKind::Push, "early", "bird"), "and then it comes");
    })
    .await
    .unwrap();
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_in_one_process_do_not_see_each_other() {
    let base = |seconds| {
        let builder = Builder::new("desk").acceptor(Tcp::bind("127.0.0.1:0"));
        builder.configure(move |config| config.heartbeat.interval = Duration::from_secs(seconds))
    };
    let json = base(7).dictionary([("desk.place", 1u16), ("only.json", 2)]).handlers(Desk { place: "json" });
    let json = json.build().unwrap();
    let protobuf = base(11).dictionary([("desk.place", 9u16)]).serializer::<Protobuf>().handlers(Counter);
    let protobuf = protobuf.build().unwrap();
    json.start().await.unwrap();
    protobuf.start().await.unwrap();
    let (one, other) = (json.addresses()[0], protobuf.addresses()[0]);
    spawn_blocking(move || {
        let (mut one, mut other) = (Client::tcp(one), Client::tcp(other));
        let terms = [one.open()["sys"].clone(), other.open()["sys"].clone()];
        let dictionary = json!({ "desk.place": 1, "only.json": 2 });
        assert_eq!(terms[0], json!({ "dict": dictionary, "heartbeat": 7, "serializer": "json" }));
        assert_eq!(terms[1], json!({ "dict": { "desk.place": 9 }, "heartbeat": 11, "serializer": "protobuf" }));

        // A request by code: flags, id, code.
        one.send_packet(PacketKind::Data, &[1, 1, 0, 1]);
        assert_eq!(one.message().json(), json!({ "name": "json" }));
        other.send_packet(PacketKind::Data, &[1, 1, 0, 9, 8, 41]);
        assert_eq!(other.message().body, [8, 42]);

        // The same uid twice is two users, and each app knows of one session.
        for client in [&mut one, &mut other] {
            assert_eq!(client.request(2, "desk.desk.bind", b"").text(), "1 here");
        }
        assert_eq!(one.request(3, "desk.desk.place", b"").json(), json!({ "name": "json" }));
        assert_eq!(other.request(3, "desk.desk.place", &[8, 1]).body, [8, 2]);

        // The code of one is unknown to the other.
        other.send_packet(PacketKind::Data, &[1, 4, 0, 1]);
        other.assert_closed();
        assert_eq!(one.request(5, "desk.desk.place", b"").json(), json!({ "name": "json" }));
    })
    .await
    .unwrap();
    json.shutdown().await;
    protobuf.shutdown().await;
}
