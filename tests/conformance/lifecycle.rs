//! The process itself.

use pitaya_tests::client::Client;
use pitaya_tests::process::Conformance;

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
