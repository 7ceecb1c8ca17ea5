//! The profile that libpitaya's own suite is run against: two apps, each over TCP and TLS.

use pitaya_core::wire::{MessageKind, PacketKind, packet};
use pitaya_tests::client::{Client, HANDSHAKE};
use pitaya_tests::process::Conformance;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tempfile::TempDir;

const TEXT: &[u8] = b"\x0a\x18THIS IS THE SESSION DATA";
const PUSH: &str = "some.push.route";

struct Suite {
    server: Conformance,
    certificate: CertificateDer<'static>,
    big: Vec<u8>,
    _files: TempDir,
}

impl Suite {
    fn start() -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        // Longer than a megabyte, and it hardly compresses.
        let big: Vec<u8> = (0..300_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let write = |name: &str, content: &[u8]| {
            let path = files.path().join(name);
            std::fs::write(&path, content).expect("a file that can be written");
            path.to_str().expect("a path of text").to_owned()
        };
        let cert = write("server.crt", made.cert.pem().as_bytes());
        let key = write("server.key", made.signing_key.serialize_pem().as_bytes());
        let file = write("big", &big);
        let flags = ["-profile", "libpitaya", "-cert", &cert, "-key", &key, "-bigmessage", &file, "-ports", "0,0,0,0"];
        let server = Conformance::launch(&flags, &[]);
        Self { server, certificate: made.cert.der().clone(), big, _files: files }
    }

    /// Clients of one app that have shaken hands: over TCP and over TLS.
    fn open(&self, app: usize, serializer: &str) -> [Client; 2] {
        let [json, json_tls, protobuf, protobuf_tls] = self.server.addresses() else {
            panic!("four addresses, not {:?}", self.server.addresses())
        };
        let (plain, tls) = [(json, json_tls), (protobuf, protobuf_tls)][app];
        let mut clients = [Client::tcp(*plain), Client::tls(*tls, self.certificate.clone())];
        for client in &mut clients {
            let terms = client.open();
            assert_eq!(terms["sys"], json!({ "dict": {}, "heartbeat": 3, "serializer": serializer }));
        }
        clients
    }

    fn json(&self) -> [Client; 2] {
        self.open(0, "json")
    }

    fn protobuf(&self) -> [Client; 2] {
        self.open(1, "protobuf")
    }
}

#[test]
fn json_over_tcp_and_tls() {
    let suite = Suite::start();
    for mut client in suite.json() {
        let data = json!({ "Data": { "name": "Zoë", "level": 7, "list": [1, "x", null], "nest": { "a": 1.5 } } });
        let empty = client.request(1, "connector.getsessiondata", b"");
        assert_eq!(empty.json(), json!({ "Data": {} }), "keys of the system are not the user's");
        let set = client.request(2, "connector.setsessiondata", data.to_string().as_bytes());
        assert_eq!(set.text(), r#"{"Code":200,"Msg":"success"}"#);
        assert_eq!(client.request(3, "connector.getsessiondata", b"").json(), data);
        assert_eq!(
            client.request(4, "connector.connector.getsessiondata", b"").json(),
            data,
            "three words are the same"
        );
        client.request(5, "connector.setsessiondata", br#"{"Data":{"other":true}}"#);
        let replaced = client.request(6, "connector.getsessiondata", b"").json();
        assert_eq!(replaced, json!({ "Data": { "other": true } }), "replaced, not merged");

        let said = client.request(7, "connector.gethandshakedata", b"");
        assert_eq!(said.text().as_bytes(), HANDSHAKE, "byte for byte, as Go writes it");

        client.send_request(8, "connector.sendpush", b"");
        let (push, answer) = (client.message(), client.message());
        assert_eq!((push.kind, &*push.route), (MessageKind::Push, PUSH));
        assert_eq!(push.json(), json!({ "key1": 10, "key2": true }));
        assert_eq!((answer.id, answer.text()), (8, r#"{"Code":200,"Msg":"Ok"}"#));

        let error = client.request(9, "connector.geterror", b"");
        assert!(error.error);
        assert_eq!(error.json(), json!({ "code": "PIT-000", "msg": "GetError is returning a custom error" }));
        let unknown = client.request(10, "connector.nothing", b"");
        assert_eq!(unknown.json()["msg"], "pitaya/handler: connector.connector.nothing not found");
    }
}

/// Suites compare texts: the order of Go's structs, and sorted keys in what the application said.
#[test]
fn the_handshake_is_told_in_the_order_of_go() {
    let suite = Suite::start();
    let mut client = Client::tcp(suite.server.addresses()[0]);
    let user = r#""user":{"zone":[1,{"b":1,"a":2}],"age":30,"Name":"x"}"#;
    let sys =
        r#""sys":{"clientVersion":"2.1","type":"socket","libVersion":"0.3","clientBuildNumber":"20","platform":"mac"}"#;
    client.send_packet(PacketKind::Handshake, format!("{{{user},{sys}}}").as_bytes());
    client.packet();
    client.send(&packet::ACK);
    let sys = r#""sys":{"platform":"mac","libVersion":"0.3","clientBuildNumber":"20","clientVersion":"2.1"}"#;
    let user = r#""user":{"Name":"x","age":30,"zone":[1,{"a":2,"b":1}]}"#;
    assert_eq!(client.request(1, "connector.gethandshakedata", b"").text(), format!("{{{sys},{user}}}"));
}

#[test]
fn protobuf_over_tcp_and_tls() {
    let suite = Suite::start();
    for mut client in suite.protobuf() {
        assert_eq!(client.request(1, "connector.getsessiondata", b"").body, TEXT);
        let set = client.request(2, "connector.setsessiondata", TEXT);
        assert_eq!(set.body, b"\x08\xc8\x01\x12\x07success");
        client.notify("connector.notifysessiondata", TEXT);
        let push = client.message();
        assert_eq!((push.kind, &*push.route, &push.body[..]), (MessageKind::Push, PUSH, TEXT));
        assert!(client.request(3, "connector.getbigmessage", b"").body == suite.big, "{} bytes", suite.big.len());
        let unknown = client.request(4, "connector.nothing", b"");
        assert!(unknown.error && unknown.body.starts_with(b"\x0a\x07PIT-404"));
    }
}

/// A suite checks that its TLS client fails against a TCP port, and the other way round, in a second.
#[test]
fn tls_and_tcp_learn_at_once_that_they_are_not_each_other() {
    let suite = Suite::start();
    for tls in [1, 3] {
        let mut client = Client::tcp(suite.server.addresses()[tls]);
        client.send_packet(PacketKind::Handshake, HANDSHAKE);
        // A TLS server says so in an alert; no packet begins with its type.
        client.assert_ended();
    }
    for tcp in [0, 2] {
        let mut client = Client::tcp(suite.server.addresses()[tcp]);
        client.send(&[0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3]);
        client.assert_closed();
    }
}

/// What one app is told, the other does not know.
#[test]
fn the_two_apps_do_not_see_each_other() {
    let suite = Suite::start();
    let [mut json, _] = suite.json();
    let [mut protobuf, _] = suite.protobuf();
    json.request(1, "connector.setsessiondata", br#"{"Data":{"mine":1}}"#);
    assert_eq!(protobuf.request(1, "connector.getsessiondata", b"").body, TEXT);
    assert!(protobuf.request(2, "connector.sendpush", b"").error, "a route of the other app");
    assert!(json.request(2, "connector.getbigmessage", b"").error, "a route of the other app");
    assert_eq!(json.request(3, "connector.getsessiondata", b"").json(), json!({ "Data": { "mine": 1 } }));
}
