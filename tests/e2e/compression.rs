//! Which bodies are compressed, and how large a compressed one may become.

use crate::raw::{RawClient, request};
use crate::support::{address, eventually, serve};
use pitaya_client::Client;
use pitaya_core::wire::{Message, MessageKind, PacketKind, RouteRef, compress_tail, message, packet};
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;

struct Room;

#[handler]
impl Room {
    pub fn echo(&self, session: &Session, raw: Raw) -> Result<Raw> {
        session.push_raw("onEcho", &raw.0)?;
        session.send(&Push::raw("onEcho", raw.0.clone())?)?;
        Ok(raw)
    }

    pub fn fail(&self, text: String) -> Result<()> {
        Err(Error::new("GAME-1", text))
    }

    pub fn length(&self, raw: Raw) -> usize {
        raw.0.len()
    }
}

/// Whether the two pushes and the answer came compressed, which they must all be or not be.
async fn compressed(client: &mut RawClient, body: &[u8]) -> bool {
    let echo = crate::raw::data(MessageKind::Request, 1, "game.room.echo".into(), body);
    client.send(&echo).await;
    let mut flags = Vec::new();
    for _ in 0..3 {
        flags.push(next_is_compressed(client).await);
    }
    assert!(flags.iter().all(|flag| *flag == flags[0]), "{flags:?}");
    flags[0]
}

async fn next_is_compressed(client: &mut RawClient) -> bool {
    let (kind, body) = client.packet().await.expect("open");
    assert_eq!(kind, PacketKind::Data);
    Message::decode(&body).expect("a message").compressed
}

/// Bytes that nothing makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// How Go's client and libpitaya introduce themselves.
const GO: &str =
    r#"{"sys":{"platform":"mac","libVersion":"0.3.5-release","clientBuildNumber":"20","clientVersion":"2.1"}}"#;

#[tokio::test]
async fn bodies_of_at_least_128_bytes_are_compressed_when_that_makes_them_smaller() {
    let app = serve(Builder::new("game").handlers(Room)).await;
    let mut client = RawClient::open_as(&app, GO).await;
    assert!(!compressed(&mut client, &[b'a'; 127]).await);
    assert!(compressed(&mut client, &[b'a'; 128]).await);
    assert!(!compressed(&mut client, &noise(1_000)).await);
    // Errors too.
    for (length, expected) in [(10, false), (1_000, true)] {
        client.send(&request(1, "game.room.fail", &format!("{:?}", "a".repeat(length)))).await;
        assert_eq!(next_is_compressed(&mut client).await, expected);
    }
}

/// The clients of pomelo that cannot inflate are many, and each has a name of its own for its kind.
#[tokio::test]
async fn only_clients_that_are_known_to_inflate_get_compressed_bodies() {
    let of_type =
        |name: &str| format!(r#"{{"sys":{{"type":"{name}","version":"0.0.1","libVersion":"1"}},"user":{{}}}}"#);
    let plain = ["js-websocket", "js-ws", "js-socket", "unity-socket", "pomelo-node-tcp-client", "socket"].map(of_type);
    let plain = plain.iter().map(String::as_str).chain(["{}", r#"{"sys":{"platform":"mac"}}"#]);
    let says_so = r#"{"sys":{"type":"js-websocket","inflate":true}}"#;
    let known = Builder::new("game").handlers(Room);
    let listed = Builder::new("game").handlers(Room).configure(|config| {
        config.handler.messages.compressionclients = vec!["unity-socket".to_owned(), "js-ws".to_owned()];
    });
    let always = Builder::new("game").handlers(Room).configure(|config| {
        config.handler.messages.compressionclients = vec!["always".to_owned()];
    });
    let (known, listed, always) = (serve(known).await, serve(listed).await, serve(always).await);
    for (client, inflates) in plain.map(|client| (client, false)).chain([(GO, true), (says_so, true)]) {
        let is_listed = inflates || client.contains("unity-socket") || client.contains("js-ws");
        for (app, expected) in [(&known, inflates), (&listed, is_listed), (&always, true)] {
            let mut client_of_app = RawClient::open_as(app, client).await;
            assert_eq!(compressed(&mut client_of_app, &[b'a'; 1_000]).await, expected, "{client}");
            client_of_app.send(&request(1, "game.room.fail", &format!("{:?}", "a".repeat(1_000)))).await;
            assert_eq!(next_is_compressed(&mut client_of_app).await, expected, "{client}");
        }
    }
    // `pitaya-client` says it.
    let client = Client::connect(&address(&known)).await.expect("accepted");
    assert!(
        known
            .sessions()
            .all()
            .iter()
            .any(|session| session.handshake().is_some_and(|data| data.sys.inflate == Some(true)))
    );
    drop(client);
}

#[tokio::test]
async fn nothing_is_compressed_where_it_is_switched_off() {
    let app = serve(Builder::new("game").handlers(Room).configure(|config| {
        config.handler.messages.compression = false;
        config.handler.messages.compressionclients = vec!["always".to_owned()];
    }));
    assert!(!compressed(&mut RawClient::open_as(&app.await, GO).await, &[b'a'; 1_000]).await);
}

#[tokio::test]
async fn what_arrives_may_be_compressed_in_any_case() {
    let app = serve(Builder::new("game").handlers(Room).configure(|c| c.handler.messages.compression = false)).await;
    let client = Client::options().compress(true).connect(&address(&app)).await.expect("accepted");
    assert_eq!(client.request_raw("game.room.length", vec![b'a'; 60_000]).await.expect("read"), "60000");
}

/// A request with a body of so many equal bytes, compressed.
fn bomb(id: u64, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let at = packet::open(&mut out, PacketKind::Data);
    let flags = out.len();
    let body = vec![b'a'; length];
    let route = Some(RouteRef::from("game.room.length"));
    let message = Message { kind: MessageKind::Request, id, route, compressed: false, error: false, body: &body };
    message.encode(&mut out).expect("fits");
    let body_at = out.len() - length;
    assert!(compress_tail(&mut out, body_at));
    out[flags] |= message::COMPRESSED;
    packet::seal(&mut out, at).expect("fits");
    out
}

#[tokio::test]
async fn a_body_that_inflates_beyond_the_limit_ends_its_session_and_is_counted() {
    let limits = |size: &'static str, ratio: u32| {
        move |config: &mut Config| {
            config.limits.inflate.size = size.parse().expect("a size");
            config.limits.inflate.ratio = ratio;
        }
    };
    // By size, and by ratio.
    for (size, ratio, good, bad) in [("100KiB", 10_000, 102_400, 102_401), ("1MiB", 100, 65_536, 200_000)] {
        let app = serve(Builder::new("game").handlers(Room).configure(limits(size, ratio))).await;
        let mut client = RawClient::open(&app).await;
        client.send(&bomb(1, good)).await;
        assert_eq!(client.hear().await, crate::raw::answer(1, &good.to_string()));
        client.send(&bomb(2, bad)).await;
        assert_eq!(client.rest().await, []);
        eventually("it is counted", || app.counts().refused_inflates == 1).await;
        assert_eq!(app.counts().closed("malformed"), 1);
    }
}
