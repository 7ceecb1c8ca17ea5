//! Who is bound to which uid: what the recorded clients did through a backend, at the server's own routes.

use pitaya_core::wire::MessageKind;
use pitaya_core::wire::packet::KICK;
use pitaya_tests::client::Client;
use pitaya_tests::process::Conformance;
use serde_json::json;

fn open(server: &Conformance) -> Client {
    let mut client = Client::tcp(server.address());
    client.open();
    client
}

/// A kick without a reason, then the end.
fn assert_kicked(client: &mut Client) {
    assert_eq!(client.packet(), KICK);
    assert_eq!(client.packet_or_end(), None, "a kick is the last thing a client gets");
}

#[test]
fn a_client_may_have_itself_kicked() {
    let server = Conformance::start(&[], &[]);
    let mut client = open(&server);
    client.send_request(1, "connector.testsvc.testrequestkickme", b"");
    assert_kicked(&mut client);
}

#[test]
fn a_user_is_kicked_by_uid() {
    let server = Conformance::start(&[], &[]);
    let (mut judge, mut user) = (open(&server), open(&server));
    let route = "connector.testsvc.testrequestkickuser";
    let unknown = judge.request(1, route, b"user");
    assert_eq!(unknown.json(), json!({ "code": "PIT-404", "msg": "session not found" }));
    assert_eq!(user.request(1, "connector.testsvc.testbindid", b"user").text(), "ack");
    assert_eq!(judge.request(2, route, b"user").json(), json!({ "code": 200, "msg": "ok" }));
    assert_kicked(&mut user);
    assert!(judge.request(3, route, b"user").error, "it is gone");
}

#[test]
fn a_group_hears_raw_and_typed_messages() {
    for (serializer, typed, pushed) in [
        ("json", &br#"{"msg":"typed"}"#[..], &br#"{"msg":"typed"}"#[..]),
        ("protobuf", b"\x0a\x05typed", b"\x0a\x05typed"),
    ] {
        let server = Conformance::start(&["-serializer", serializer], &[]);
        let (mut one, mut other, mut stranger) = (open(&server), open(&server), open(&server));
        for client in [&mut one, &mut other] {
            assert_eq!(client.request(1, "connector.testsvc.testbind", b"").text(), "ack");
        }
        one.notify("connector.testsvc.testsendgroupmsg", b"raw");
        stranger.notify("connector.testsvc.testsendgroupmsgptr", typed);
        for client in [&mut one, &mut other] {
            // Two clients sent them: each order is right.
            let mut pushes = [client.message(), client.message()];
            pushes.sort_by_key(|push| push.route.clone());
            assert!(pushes.iter().all(|push| push.kind == MessageKind::Push));
            assert_eq!((&*pushes[0].route, &pushes[0].body[..]), ("route.test", &b"raw"[..]));
            assert_eq!((&*pushes[1].route, &pushes[1].body[..]), ("route.testptr", pushed));
        }
        let answer = stranger.request(9, "connector.testsvc.testrequestreceivereturnsraw", b"alone");
        assert_eq!(answer.text(), "alone", "who is in no group hears nothing");
    }
}
