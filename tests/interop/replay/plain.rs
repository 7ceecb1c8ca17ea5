//! What holds towards a server without our lane.

use crate::bus::Heard;
use crate::world::{Server, World};
use pitaya_core::cluster::envelope::{KickAnswer, KickMsg, Push, Request, Response};
use pitaya_core::wire::{MessageKind, PacketKind};
use pitaya_tests::client::Client;
use pitaya_tests::compare::Codec;
use pitaya_tests::vectors::servers;
use prost::Message;
use std::collections::BTreeMap;
use std::time::Duration;

/// A frontend of ours, and Go's backend `game`.
fn front() -> (World, Server) {
    let world = World::start();
    for (key, value) in servers("conformance-json").iter().filter(|(key, _)| key.starts_with("servers/game/")) {
        world.register(key, value);
    }
    let server = world.frontend(Codec::Json, false, &[]);
    (world, server)
}

fn open(server: &Server) -> Client {
    let mut client = Client::tcp(server.process.address());
    client.open();
    client
}

fn request(heard: &Heard) -> Request {
    Request::decode(&heard.payload[..]).expect("a request")
}

fn answer(world: &World, heard: &Heard, data: &'static [u8]) {
    world.bus.publish(&heard.reply, &Response { data: data.into(), error: None }.encode_to_vec());
}

/// Go's workers take requests of one session side by side: only the frontend can keep their order.
#[test]
fn one_message_of_a_session_is_on_its_way_at_a_time() {
    let (world, server) = front();
    let (mut first, mut second) = (open(&server), open(&server));
    const ROUTE: &str = "game.testsvc.testrequestreceivereturnsraw";
    first.send_request(1, ROUTE, b"1");
    first.notify("game.testsvc.testsendgroupmsg", b"2");
    first.send_request(3, ROUTE, b"3");
    let one = world.bus.next();
    assert_eq!(request(&one).msg.expect("a message").data, "1");
    // Sessions do not wait for each other.
    second.send_request(1, ROUTE, b"other");
    let other = world.bus.next();
    assert_eq!(request(&other).msg.expect("a message").data, "other");
    assert_eq!(world.bus.within(Duration::from_millis(200)), None, "the first is not answered");
    answer(&world, &one, b"one");
    let two = world.bus.next();
    let message = request(&two).msg.expect("a message");
    assert_eq!((&message.data[..], message.id, message.r#type), (&b"2"[..], 0, 1), "a notify, which Go answers too");
    assert_eq!(world.bus.within(Duration::from_millis(200)), None, "the second is not acknowledged");
    answer(&world, &two, b"ack");
    let three = world.bus.next();
    assert_eq!(request(&three).msg.expect("a message").data, "3");
    answer(&world, &three, b"three");
    answer(&world, &other, b"other");
    let mut got: BTreeMap<u64, String> = BTreeMap::new();
    for _ in 0..2 {
        let message = first.message();
        assert_eq!(message.kind, MessageKind::Response, "a notify has no answer for its client");
        got.insert(message.id, message.text().to_owned());
    }
    assert_eq!(got, BTreeMap::from([(1, "one".to_owned()), (3, "three".to_owned())]));
    assert_eq!(second.message().text(), "other");
}

/// By the subjects of a user, from whatever server; with an answer where one is waited for, as libpitaya-cluster does.
#[test]
fn a_user_is_pushed_to_and_kicked_by_others() {
    let (mut world, server) = front();
    let mut client = open(&server);
    assert_eq!(client.request(1, "connector.testsvc.testbindid", b"Zo\xc3\xab.42").text(), "ack");
    assert_eq!(world.bus.next().subject, "pitaya/connector/bindings");
    let user = "Zoë.42";
    let push = |uid: &str, data: &'static [u8]| {
        Push { route: "onNews".to_owned(), uid: uid.to_owned(), data: data.into() }.encode_to_vec()
    };
    let pushes = format!("pitaya/connector/user/{user}/push");
    world.bus.publish(&pushes, &push(user, b"silent"));
    let inbox = world.bus.ask(&pushes, &push(user, b"told"));
    assert_eq!(client.message().text(), "silent");
    assert_eq!(client.message().text(), "told");
    let told = world.bus.hear(&inbox, "a push with a reply subject").payload;
    assert_eq!(told, Response { data: b"ack"[..].into(), error: None }.encode_to_vec());
    let kicks = format!("pitaya/connector/user/{user}/kick");
    let inbox = world.bus.ask(&kicks, &KickMsg { user_id: user.to_owned(), ..KickMsg::default() }.encode_to_vec());
    let told = world.bus.hear(&inbox, "a kick with a reply subject").payload;
    assert_eq!(told, KickAnswer { kicked: true }.encode_to_vec());
    assert_eq!(client.packet()[0], PacketKind::Kick as u8);
    assert_eq!(client.packet_or_end(), None);
}

/// Go's record, but for its metadata: those name our lane, and Go takes no notice.
#[test]
fn our_record_is_one_that_go_reads() {
    let (world, server) = front();
    let records = world.records("connector");
    let [(id, value, lease)] = &records[..] else { panic!("one record: {records:?}") };
    assert_eq!(*id, server.id);
    assert_ne!(lease, "0", "it goes when its server does");
    let (head, rest) = value.split_once(r#""metadata":{"#).expect("an object");
    let (metadata, tail) = rest.split_once('}').expect("an end");
    assert_eq!(head, format!(r#"{{"id":"{id}","type":"connector","#));
    assert!(tail.starts_with(r#","frontend":true,"hostname":""#) && tail.ends_with("\"}"), "{value}");
    let strings: Result<BTreeMap<String, String>, _> = serde_json::from_str(&format!("{{{metadata}}}"));
    assert!(strings.is_ok(), "a value that is no string hides a server from Go: {value}");
    // What Go's servers wrote is ours, field by field.
    for (_, go) in servers("conformance-json") {
        let info = pitaya_core::cluster::ServerInfo::parse(go.as_bytes()).expect("a record");
        assert_eq!(info.to_json(), go);
    }
}
