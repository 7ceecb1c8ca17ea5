//! Traces that Go servers begin and go on with: what is on the bus, byte by byte.

use crate::game::{Room, Store};
use crate::sink::Collector;
use crate::world::{World, connect, eventually};
use futures_util::StreamExt;
use pitaya_core::cluster::envelope::{Msg, MsgType, Request, Response, RpcType, Session};
use prost::Message;
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a Go server sends (`pkg/cluster/cluster.go`, `buildRequest`), with the keys it has in the recorded vectors.
fn from_go(kind: RpcType, route: &str, body: &'static [u8], flags: &str) -> Vec<u8> {
    let metadata = json!({
        "peer.id": "go-1", "peer.service": "connector", "reqTimeout": "5s", "request.id": "V4c5Bt2q6m4OSkEXPV3N7o",
        "req-route": route, "req-start-time": 1_765_000_000_000_000_000_i64,
        "otel-span": {"traceparent": format!("00-{TRACE}-{SPAN}-{flags}")},
    });
    let session = (kind == RpcType::Sys).then(|| Session { id: 7, uid: "u1".to_owned(), data: "{}".into() });
    let (data, id) = (body.into(), if session.is_some() { 3 } else { 0 });
    let msg = Msg { id, route: route.to_owned(), data, reply: String::new(), r#type: MsgType::Request.into() };
    let frontend_id = "go-1".to_owned();
    Request { r#type: kind.into(), session, msg: Some(msg), frontend_id, metadata: metadata.to_string().into() }
        .encode_to_vec()
}

async fn ask(bus: &async_nats::Client, subject: &str, request: Vec<u8>) -> Response {
    let answer = bus.request(subject.to_owned(), request.into()).await.expect("an answer");
    Response::decode(answer.payload).expect("a response")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trace_of_a_go_server_goes_on() {
    let collector = Collector::start();
    let mut world = World::brokers();
    let bus = async_nats::connect(world.nats().url()).await.expect("the broker is there");
    let room = world.backend("room", "r1", |b| collector.hear(b.handlers(Room), 0.0)).await;
    let store = world.backend("store", "s1", |b| collector.hear(b.remotes(Store), 0.0)).await;
    eventually("they see each other", || room.servers().all().len() == 2).await;

    let sys = from_go(RpcType::Sys, "room.room.echo", b"hi", "01");
    assert_eq!(&ask(&bus, "pitaya/servers/room/r1", sys).await.data[..], b"hi");
    let user = from_go(RpcType::User, "store.store.take", b"\"apple\"", "01");
    assert_eq!(&ask(&bus, "pitaya/servers/store/s1", user).await.data[..], b"7");
    // It has decided that these are not recorded.
    let sys = from_go(RpcType::Sys, "room.room.along", b"hi", "00");
    assert!(ask(&bus, "pitaya/servers/room/r1", sys).await.error.is_none());
    let user = from_go(RpcType::User, "store.store.take", b"\"pear\"", "00");
    assert!(ask(&bus, "pitaya/servers/store/s1", user).await.error.is_none());
    room.shutdown().await;
    store.shutdown().await;

    assert_eq!(collector.all().len(), 2, "{:#?}", collector.all());
    for (service, route) in [("room", "room.room.echo"), ("store", "store.store.take")] {
        let span = collector.one(service, route);
        assert_eq!((&*hex(&span.trace), &*hex(&span.parent)), (TRACE, SPAN));
        assert!(span.is("peer.id", "go-1") && span.is("peer.service", "connector"), "{span:?}");
        assert!(span.is("request.id", "V4c5Bt2q6m4OSkEXPV3N7o"), "{span:?}");
    }
}

/// A server without our lane is what Go's is to ours: a record in etcd, and a subject.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_go_server_reads_ours() {
    for (ratio, sampled) in [(1.0, true), (0.0, false)] {
        let collector = Collector::start();
        let mut world = World::brokers();
        let bus = async_nats::connect(world.nats().url()).await.expect("the broker is there");
        let mut heard = bus.subscribe("pitaya/servers/room/go-1").await.expect("subscribed");
        pitaya_tests::bus::settled(&bus).await;
        let record = r#"{"id":"go-1","type":"room","metadata":{},"frontend":false,"hostname":"vm"}"#;
        assert_eq!(world.etcd().ctl(&["put", "pitaya/servers/room/go-1", record]).trim(), "OK");
        let gate = world.frontend("gate", "g1", |b| collector.hear(b, ratio)).await;
        eventually("it is seen", || gate.servers().of("room").len() == 1).await;
        let client = connect(&gate).await;
        let answers = async {
            let message = heard.next().await.expect("a message");
            let answer = Response { data: "ok".into(), error: None }.encode_to_vec();
            bus.publish(message.reply.expect("a reply"), answer.into()).await.expect("it is published");
            Request::decode(message.payload).expect("a request")
        };
        let (answer, request) = tokio::join!(client.request_raw("room.room.buy", "x"), answers);
        assert_eq!(&answer.expect("an answer")[..], b"ok");
        gate.shutdown().await;

        let metadata: Value = serde_json::from_slice(&request.metadata).expect("an object");
        let carrier = metadata["otel-span"].as_object().expect("Go's carrier is an object");
        assert!(carrier.values().all(Value::is_string), "Go leaves out what is no text: {carrier:?}");
        assert_eq!((&metadata["peer.id"], &metadata["peer.service"]), (&json!("g1"), &json!("gate")));
        assert!(metadata["reqTimeout"].is_string(), "anything else kills a Go server");
        let parent: Vec<&str> = carrier["traceparent"].as_str().expect("a text").split('-').collect();
        assert_eq!((parent[0], parent[3]), ("00", if sampled { "01" } else { "00" }));
        assert_eq!((parent[1].len(), parent[2].len()), (32, 16));
        assert!(parent[1].bytes().any(|digit| digit != b'0'), "a trace of zeroes is none: Go would begin one");
        if sampled {
            let call = collector.one("gate", "NATS RPC Call");
            assert_eq!((&*hex(&call.trace), &*hex(&call.id)), (parent[1], parent[2]));
            assert_eq!(metadata["request.id"], collector.one("gate", "room.room.buy").attributes["request.id"]);
        } else {
            assert!(collector.all().is_empty());
        }
    }
}
