//! The process itself.

use pitaya_tests::client::Client;
use pitaya_tests::process::Conformance;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

#[test]
fn it_ends_cleanly_when_it_is_told_to() {
    let mut server = Conformance::start(&[], &[]);
    let mut client = Client::tcp(server.address());
    client.open();
    assert_eq!(client.request(1, "connector.room.join", b"x").text(), "x");
    let status = server.terminate();
    assert!(status.success(), "{status}");
    assert_eq!(client.packet_or_end(), None);
}

/// The line says that it runs: from then on a signal is an order to stop, not its death.
#[test]
fn it_can_be_told_to_end_as_soon_as_it_is_ready() {
    for _ in 0..5 {
        let status = Conformance::start(&[], &[]).terminate();
        assert!(status.success(), "{status}");
    }
}

#[test]
fn servers_listen_where_they_say() {
    let [one, two] = [(); 2].map(|()| Conformance::start(&[], &[]));
    assert_ne!(one.address(), two.address(), "port 0 is a free one");
    for server in [one, two] {
        assert_eq!(Client::tcp(server.address()).open()["sys"]["serializer"], "json");
    }
}

const DRAINS: [(&str, &str); 3] =
    [("PITAYA_SESSION_DRAIN_ENABLED", "true"), ("PITAYA_SESSION_DRAIN_PERIOD", "50ms"), ("RUST_LOG", "info")];

#[test]
fn a_drain_waits_for_the_sessions_and_lets_nobody_in() {
    let mut server = Conformance::start(&[], &DRAINS);
    let [mut first, mut second] = [(); 2].map(|()| Client::tcp(server.address()));
    first.open();
    second.open();
    server.signal("TERM");
    server.logs("draining: 2 sessions left");
    assert_eq!(first.request(1, "connector.room.join", b"still here").text(), "still here");
    // The line may be there before the socket is gone.
    while TcpStream::connect(server.address()).is_ok() {
        sleep(Duration::from_millis(1));
    }
    drop(first);
    server.logs("draining: 1 sessions left");
    assert_eq!(second.request(1, "connector.room.join", b"me too").text(), "me too");
    drop(second);
    server.logs("drained: nobody left");
    let status = server.ended();
    assert!(status.success(), "{status}");
}

#[test]
fn a_second_signal_ends_the_drain() {
    for again in ["TERM", "INT"] {
        let mut server = Conformance::start(&[], &DRAINS);
        let mut client = Client::tcp(server.address());
        client.open();
        server.signal("TERM");
        server.logs("draining: 1 sessions left");
        if again == "TERM" {
            // It comes twice where the process and its group are signalled: within a second that is one.
            server.signal(again);
            sleep(Duration::from_millis(1100));
            assert_eq!(client.request(1, "connector.room.join", b"still here").text(), "still here");
        }
        server.signal(again);
        server.logs("asked to end again");
        let status = server.ended();
        assert!(status.success(), "{status}");
        assert_eq!(client.packet_or_end(), None, "closed in order");
    }
}

/// Whoever sits at the keyboard does not want to wait.
#[test]
fn an_interrupt_does_not_drain() {
    let mut server = Conformance::start(&[], &DRAINS);
    let mut client = Client::tcp(server.address());
    client.open();
    server.signal("INT");
    assert!(server.ended().success());
    assert_eq!(client.packet_or_end(), None);
}

#[test]
fn a_drain_has_an_end() {
    let env = [DRAINS[0], DRAINS[1], DRAINS[2], ("PITAYA_SESSION_DRAIN_TIMEOUT", "200ms")];
    let mut server = Conformance::start(&[], &env);
    let mut client = Client::tcp(server.address());
    client.open();
    server.signal("TERM");
    server.logs("the drain is over: 1 sessions left");
    assert!(server.ended().success());
    assert_eq!(client.packet_or_end(), None);
}
