//! The PROXY protocol: taken from those who are trusted, whole, and in time.

use crate::support::{
    Game, PROXY, STRANGER, address_of, behind_a_proxy, browser, dial, eventually, player, start, tcp, websocket, who,
};
use pitaya_runtime::prelude::*;
use pitaya_tests::client::Client;
use std::io::Write;
use std::time::{Duration, Instant};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

/// Of 2001:db8::7, with something behind the addresses that is to be skipped.
fn v6() -> Vec<u8> {
    let mut body = [0; 36];
    body[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().expect("an address").octets());
    body[32..34].copy_from_slice(&12345_u16.to_be_bytes());
    binary(0x21, 0x21, &[&body[..], &[0x04, 0, 2, 1, 2]].concat())
}

const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];

#[tokio::test(flavor = "multi_thread")]
async fn the_client_has_the_address_that_a_trusted_proxy_names() {
    let app = tcp(behind_a_proxy).await;
    for (header, address, kind) in [
        (LINE.to_vec(), "192.0.2.7:12345", "ipv4"),
        (b"PROXY TCP6 2001:db8::7 ::1 12345 80\r\n".to_vec(), "[2001:db8::7]:12345", "ipv6"),
        (binary(0x21, 0x11, &V4), "192.0.2.7:12345", "ipv4"),
        (v6(), "[2001:db8::7]:12345", "ipv6"),
    ] {
        let mut client = player(&app, PROXY, &header).await;
        let (known, version) = who(&mut client);
        assert_eq!(known, address);
        assert!(version.eq_ignore_ascii_case(kind), "{version}");
    }
    assert_eq!(app.counts().bad_proxy_headers, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_speaks_for_itself_or_does_not_know_keeps_its_own() {
    let app = tcp(behind_a_proxy).await;
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(),
        binary(0x20, 0x00, &[]),
        binary(0x20, 0x11, &V4),
        binary(0x21, 0x31, &[0; 216]),
    ] {
        let mut client = player(&app, PROXY, &header).await;
        assert!(address_of(&mut client).starts_with(PROXY), "{header:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_may_come_byte_by_byte_and_the_first_packet_with_it() {
    let app = tcp(behind_a_proxy).await;
    for header in [LINE.to_vec(), v6()] {
        let mut stream = dial(app.addresses()[0], PROXY, &[]).await;
        for byte in &header {
            stream.write_all(&[*byte]).expect("written");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut client = Client::over(stream);
        client.open();
        assert!(address_of(&mut client).ends_with(":12345"));
        // Both in one segment: what is behind the header is the client's.
        let mut shake = Vec::new();
        pitaya_core::wire::packet::encode(pitaya_core::wire::PacketKind::Handshake, b"{}", &mut shake).expect("fits");
        let mut client = Client::over(dial(app.addresses()[0], PROXY, &[header, shake].concat()).await);
        assert_eq!(client.packet()[0], 1, "the answer to the handshake");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trusted_proxy_must_not_send_closes_and_is_counted() {
    let app = tcp(behind_a_proxy).await;
    let long = [b"PROXY UNKNOWN ", &[b'x'; 120][..]].concat();
    let wrong: [(&str, Vec<u8>); 7] = [
        ("no header", vec![1, 0, 0, 2, b'{', b'}']),
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a line that is too long", long),
        ("a binary header that is too long", [SIGNATURE, &[0x21, 0x11, 0x02, 0x09]].concat()),
        ("a wrong address", b"PROXY TCP4 192.0.2.777 10.0.0.1 1 2\r\n".to_vec()),
        ("a wrong version", [SIGNATURE, &[0x31]].concat()),
        ("addresses that are cut off", binary(0x21, 0x11, &V4[..8])),
    ];
    for (count, (what, bytes)) in (1..).zip(&wrong) {
        let mut client = Client::over(dial(app.addresses()[0], PROXY, bytes).await);
        client.assert_closed();
        eventually(what, || app.counts().bad_proxy_headers == count).await;
    }
    eventually("all of them are", || app.counts().failed_establish == wrong.len() as u64).await;
    assert_eq!(app.sessions().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_holds_up_nobody_and_ends_with_the_handshake() {
    let app = tcp(|config| {
        behind_a_proxy(config);
        config.limits.handshake.timeout = Duration::from_millis(300);
    })
    .await;
    let began = Instant::now();
    let mut silent = Vec::new();
    for part in [&b""[..], b"PROXY TCP4 19", SIGNATURE] {
        silent.push(Client::over(dial(app.addresses()[0], PROXY, part).await));
    }
    let mut client = player(&app, PROXY, LINE).await;
    assert_eq!(address_of(&mut client), "192.0.2.7:12345");
    for client in &mut silent {
        client.assert_closed();
    }
    assert!(began.elapsed() >= Duration::from_millis(300));
    eventually("they are counted", || app.counts().failed_establish == 3).await;
    assert_eq!(app.counts().bad_proxy_headers, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_who_it_is_and_its_header_closes() {
    let app = tcp(behind_a_proxy).await;
    let mut client = player(&app, STRANGER, &[]).await;
    assert!(address_of(&mut client).starts_with(STRANGER));
    for (count, header) in (1..).zip([LINE.to_vec(), binary(0x21, 0x11, &V4)]) {
        let mut spoof = Client::over(dial(app.addresses()[0], STRANGER, &header).await);
        spoof.assert_closed();
        eventually("it is counted", || app.counts().bad_proxy_headers == count).await;
    }
    assert_eq!(app.sessions().count(), 1);
    // Where nothing is trusted nothing is looked at: it is a packet like any other, and none.
    let app = tcp(|_| {}).await;
    let mut spoof = Client::over(dial(app.addresses()[0], STRANGER, LINE).await);
    spoof.assert_closed();
    eventually("it is closed as malformed", || app.counts().closed("malformed") == 1).await;
    assert_eq!(app.counts().bad_proxy_headers, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_before_tls_and_before_a_websocket() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let dir = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (dir.path().join("server.crt"), dir.path().join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let tls = Tcp::bind("127.0.0.1:0").tls(certificate, key);
    let app = start(Builder::new("game").acceptor(tls).handlers(Game).configure(behind_a_proxy)).await;
    let stream = dial(app.addresses()[0], PROXY, LINE).await;
    let mut client = Client::tls_over(stream, made.cert.der().clone());
    client.open();
    assert_eq!(address_of(&mut client), "192.0.2.7:12345");

    let app = websocket(behind_a_proxy).await;
    let mut client = browser(&app, PROXY, &v6(), "").await;
    assert_eq!(address_of(&mut client), "[2001:db8::7]:12345");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptor_may_have_its_own_way() {
    let app = Builder::new("game")
        .acceptor(Tcp::bind("127.0.0.1:0"))
        .acceptor(Tcp::bind("127.0.0.1:0").proxy_protocol(false))
        .handlers(Game)
        .configure(behind_a_proxy);
    let app = start(app).await;
    let mut client = player(&app, PROXY, LINE).await;
    assert_eq!(address_of(&mut client), "192.0.2.7:12345");
    let mut client = Client::over(dial(app.addresses()[1], PROXY, &[]).await);
    client.open();
    assert!(address_of(&mut client).starts_with(PROXY));
}

#[test]
fn it_is_not_on_without_a_list() {
    let by_key = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).handlers(Game);
    let by_key = by_key.configure(|config| config.acceptor.proxyprotocol = true).build().expect_err("no list");
    let by_call = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0").proxy_protocol(true)).handlers(Game).build();
    for error in [by_key, by_call.expect_err("no list")] {
        assert_eq!(error.problems().len(), 1, "{error}");
        assert!(error.to_string().contains("pitaya.acceptor.trustedproxies"), "{error}");
    }
}
