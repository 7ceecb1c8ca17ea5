use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use pitaya_client::{Client, CloseReason, ConnectError, ConnectOptions, ProtocolError};
use pitaya_core::wire::{Dictionary, Packet, PacketKind, packet};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};

use crate::peer::{Peer, push, response, terms};

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn tcp(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

/// A certificate for `game.test` in PEM, and a server that has it.
fn tls() -> (String, TlsAcceptor) {
    tls_with(rcgen::IsCa::NoCa)
}

fn tls_with(is_ca: rcgen::IsCa) -> (String, TlsAcceptor) {
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["game.test".to_owned()]).unwrap();
    params.is_ca = is_ca;
    // Two authorities of one name would differ by their signatures only.
    let der = signing_key.serialize_der();
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("{:x?}", &der[der.len() - 4..]));
    tls_of(&params, &signing_key)
}

fn tls_of(params: &rcgen::CertificateParams, signing_key: &rcgen::KeyPair) -> (String, TlsAcceptor) {
    let cert = params.self_signed(signing_key).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// Answers each request with its own body, until the client leaves.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(io: S) {
    let mut peer = Peer::new(io);
    peer.accept(&terms("json", &Dictionary::default())).await;
    let message = peer.message().await;
    peer.respond(message.id, message.body).await;
    assert_eq!(peer.packet().await, None);
}

async fn echoes(options: &ConnectOptions, address: &str) {
    let client = options.connect(address).await.unwrap();
    let body = vec![7; 100_000];
    assert_eq!(client.request_raw("a.b", body.clone()).await.unwrap(), body);
    client.close().await;
}

#[tokio::test]
async fn over_tcp() {
    let (listener, port) = listen().await;
    let (options, address) = (Client::options(), format!("tcp://127.0.0.1:{port}"));
    tokio::join!(echoes(&options, &address), async { echo(tcp(&listener).await).await });
}

#[tokio::test]
async fn over_tls_with_a_trusted_certificate() {
    let (listener, port) = listen().await;
    let (pem, acceptor) = tls();
    let (options, address) =
        (Client::options().root_certificate(pem).server_name("game.test"), format!("tls://127.0.0.1:{port}"));
    tokio::join!(echoes(&options, &address), async {
        echo(acceptor.accept(tcp(&listener).await).await.unwrap()).await;
    });
}

#[tokio::test]
async fn over_tls_trusting_anyone() {
    let (listener, port) = listen().await;
    let (_, acceptor) = tls();
    let options = Client::options().dangerously_accept_invalid_certificates(true);
    let address = format!("tls://127.0.0.1:{port}");
    tokio::join!(echoes(&options, &address), async {
        echo(acceptor.accept(tcp(&listener).await).await.unwrap()).await;
    });
}

#[tokio::test]
async fn a_server_that_drops_tls_without_goodbye_has_closed() {
    let (listener, port) = listen().await;
    let (_, acceptor) = tls();
    let options = Client::options().dangerously_accept_invalid_certificates(true);
    let address = format!("tls://127.0.0.1:{port}");
    let server = async {
        let mut peer = Peer::new(acceptor.accept(tcp(&listener).await).await.unwrap());
        peer.accept(&terms("json", &Dictionary::default())).await;
    };
    let (client, ()) = tokio::join!(options.connect(&address), server);
    let reason = client.unwrap().closed().await;
    assert!(matches!(reason, CloseReason::ServerClosed), "{reason:?}");
}

#[tokio::test]
async fn whoever_is_not_trusted_is_refused() {
    let (pem, acceptor) = tls();
    let other = tls().0;
    let (authority, as_authority) = tls_with(rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let game = |pem: String| Client::options().root_certificate(pem).server_name("game.test");
    for (options, text) in [
        (Client::options(), "no certificate is trusted"),
        (Client::options().root_certificate("no PEM"), "root certificate 1: has no certificate in it"),
        (Client::options().root_certificate(pem), "certificate not valid for name"),
        (game(other), "is signed by none of the root certificates that were given: name its authority, or"),
        (Client::options().server_name("no name!").dangerously_accept_invalid_certificates(true), "invalid dns name"),
        // What `openssl req -x509` makes without more words.
        (
            game(authority),
            "make the self-signed one with `openssl req -x509 -addext basicConstraints=critical,CA:FALSE",
        ),
    ] {
        let acceptor = if text.contains("CA:FALSE") { &as_authority } else { &acceptor };
        let (listener, port) = listen().await;
        let address = format!("tls://127.0.0.1:{port}");
        let (client, _) =
            tokio::join!(options.connect(&address), async { acceptor.accept(tcp(&listener).await).await });
        let error = client.unwrap_err();
        assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

/// As where a server has an RSA and an ECDSA certificate that both signed themselves, and the client was given one.
#[tokio::test]
async fn a_root_of_the_right_name_with_another_key_is_told() {
    let make = |algorithm| {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        tls_of(&rcgen::CertificateParams::new(["game.test".to_owned()]).unwrap(), &key)
    };
    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P256_SHA256] {
        let ((_, acceptor), (root, _)) = (make(&rcgen::PKCS_ECDSA_P256_SHA256), make(algorithm));
        let (listener, port) = listen().await;
        let options = Client::options().root_certificate(root).server_name("game.test");
        let address = format!("tls://127.0.0.1:{port}");
        let (client, _) =
            tokio::join!(options.connect(&address), async { acceptor.accept(tcp(&listener).await).await });
        let error = client.unwrap_err().to_string();
        let text = "TLS: a root certificate has the name of the server certificate's issuer and another key";
        assert!(error.starts_with(text), "{error}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let (listener, port) = listen().await;
    drop(listener);
    let error = Client::connect(&format!("tcp://127.0.0.1:{port}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
    let error = Client::connect("127.0.0.1:3250").await.unwrap_err();
    assert!(matches!(error, ConnectError::Address { .. }), "{error:?}");
}

/// The next packet of the client, which fills a binary message.
async fn ws_packet<S: AsyncRead + AsyncWrite + Unpin>(ws: &mut WebSocketStream<S>) -> (PacketKind, Vec<u8>) {
    let message = ws.next().await.unwrap().unwrap();
    assert!(message.is_binary(), "{message:?}");
    let (packet, used) = Packet::decode(message.as_payload(), packet::MAX_BODY).unwrap().unwrap();
    assert_eq!(used, message.as_payload().len(), "one packet a message");
    (packet.kind, packet.body.to_vec())
}

/// Upgrades and shakes hands, and returns the path asked for.
async fn ws_accept<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> (String, WebSocketStream<S>) {
    let (request, mut ws) = ServerBuilder::new().accept(io).await.unwrap();
    assert_eq!(ws_packet(&mut ws).await.0, PacketKind::Handshake);
    ws.send(Message::binary(terms("json", &Dictionary::default()).ok())).await.unwrap();
    assert_eq!(ws_packet(&mut ws).await, (PacketKind::HandshakeAck, Vec::new()));
    (request.uri().to_string(), ws)
}

#[tokio::test]
async fn over_websocket_packets_come_in_text_and_binary_one_or_several() {
    let (listener, port) = listen().await;
    let (options, address) = (Client::options(), format!("ws://127.0.0.1:{port}/some/path?token=a:b"));
    let server = async {
        let (path, mut ws) = ws_accept(tcp(&listener).await).await;
        assert_eq!(path, "/some/path?token=a:b");
        for id in 1..=50 {
            let (kind, message) = ws_packet(&mut ws).await;
            assert_eq!((kind, message[1]), (PacketKind::Data, id));
        }
        ws.send(Message::ping("are you there?")).await.unwrap();
        ws.send(Message::binary("")).await.unwrap();
        let mut several: Vec<u8> = push("a".into(), b"pushed");
        several.extend((1..50).rev().flat_map(|id| response(id, false, &[id as u8])));
        ws.send(Message::binary(several)).await.unwrap();
        let text = String::from_utf8(response(50, false, &[50])).unwrap();
        ws.send(Message::text(text)).await.unwrap();
        assert!(ws.next().await.unwrap().unwrap().is_pong());
        assert!(ws.next().await.unwrap().unwrap().is_close());
        assert!(ws.next().await.is_none());
    };
    let player = async {
        let client = options.connect(&address).await.unwrap();
        let mut pushes = client.pushes();
        let requests = (1..=50_u8).map(|_| client.request_raw("a.b", ""));
        let answers = futures_util::future::join_all(requests).await;
        let answers: Vec<u8> = answers.into_iter().map(|answer| answer.unwrap()[0]).collect();
        assert_eq!(answers, (1..=50).collect::<Vec<_>>());
        assert_eq!(pushes.recv().await.unwrap().body, "pushed");
        client.close().await;
    };
    tokio::join!(player, server);
}

#[tokio::test]
async fn over_secure_websocket_and_the_server_closes() {
    let (listener, port) = listen().await;
    let (pem, acceptor) = tls();
    let (options, address) =
        (Client::options().root_certificate(pem).server_name("game.test"), format!("wss://127.0.0.1:{port}/"));
    let server = async {
        let (path, mut ws) = ws_accept(acceptor.accept(tcp(&listener).await).await.unwrap()).await;
        assert_eq!(path, "/");
        ws.close().await.unwrap();
    };
    let (client, ()) = tokio::join!(options.connect(&address), server);
    let reason = client.unwrap().closed().await;
    assert!(matches!(reason, CloseReason::ServerClosed), "{reason:?}");
}

#[tokio::test]
async fn websocket_messages_hold_whole_packets_within_the_limit() {
    type Check = fn(&ProtocolError) -> bool;
    let cases: [(Message, Check); 3] = [
        (Message::binary(&[4, 0, 0, 9, 6][..]), |e| *e == ProtocolError::SplitPacket),
        (Message::binary(vec![3; 1005]), |e| matches!(e, ProtocolError::WebSocket(_))),
        (Message::binary(&[0x16][..]), |e| matches!(e, ProtocolError::Packet(_))),
    ];
    for (message, check) in cases {
        let (listener, port) = listen().await;
        let (options, address) = (Client::options().max_packet(1000), format!("ws://127.0.0.1:{port}"));
        let (client, mut ws) =
            tokio::join!(options.connect(&address), async { ws_accept(tcp(&listener).await).await.1 });
        ws.send(message).await.unwrap();
        let reason = client.unwrap().closed().await;
        assert!(matches!(&reason, CloseReason::Protocol(error) if check(error)), "{reason:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_websocket_is_told() {
    let (listener, port) = listen().await;
    let address = format!("ws://127.0.0.1:{port}/");
    let (client, ()) = tokio::join!(Client::connect(&address), async {
        let mut io = tcp(&listener).await;
        io.read_buf(&mut Vec::new()).await.unwrap();
        io.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let error = client.unwrap_err();
    assert!(matches!(error, ConnectError::WebSocket(_)), "{error:?}");
}
