//! How much may come in.

use crate::raw::{RawClient, Said, answer, request, wrap};
use crate::support::{address, connect, eventually, serve};
use pitaya_client::{Client, ConnectError};
use pitaya_core::wire::PacketKind;
use pitaya_runtime::prelude::*;
use std::time::Duration;
use tokio::time::sleep;

struct Room;

#[handler]
impl Room {
    pub fn length(&self, raw: Raw) -> usize {
        raw.0.len()
    }
}

async fn room(configure: impl FnOnce(&mut Config)) -> App {
    serve(Builder::new("game").handlers(Room).configure(configure)).await
}

/// That a connection is closed before anything is said on it.
async fn turned_away(app: &App) {
    assert!(matches!(Client::connect(&address(app)).await, Err(ConnectError::Closed(_))));
}

#[tokio::test]
async fn connections_are_limited_in_all_and_a_place_is_given_back() {
    let app = room(|config| config.limits.connections.total = 2).await;
    let (a, b) = (connect(&app).await, connect(&app).await);
    turned_away(&app).await;
    turned_away(&app).await;
    assert_eq!((app.sessions().count(), app.counts().refused_total, app.counts().accepted), (2, 2, 4));
    a.close().await;
    eventually("it has left", || app.sessions().count() == 1).await;
    // The place is given back with the connection, a moment after its session.
    let c = loop {
        match Client::connect(&address(&app)).await {
            Ok(client) => break client,
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    };
    for client in [b, c] {
        assert_eq!(client.request_raw("game.room.length", "abc").await.expect("served"), "3");
    }
}

#[tokio::test]
async fn connections_from_one_address_are_limited_and_another_address_is_not() {
    let app = room(|config| config.limits.connections.peraddress = 2).await;
    let _two = (connect(&app).await, connect(&app).await);
    turned_away(&app).await;
    assert_eq!((app.sessions().count(), app.counts().refused_address), (2, 1));
    // All of 127.0.0.0/8 is this machine.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
    let stream = socket.connect(app.addresses()[0]).await.expect("accepted");
    let other = Client::options().over(stream).await.expect("another address");
    assert_eq!(other.request_raw("game.room.length", "abc").await.expect("served"), "3");
}

#[tokio::test]
async fn new_connections_are_limited_by_rate_after_a_burst() {
    let app = room(|config| {
        config.limits.accept.rate = 1;
        config.limits.accept.burst = 3;
    })
    .await;
    let _three = (connect(&app).await, connect(&app).await, connect(&app).await);
    turned_away(&app).await;
    assert_eq!((app.sessions().count(), app.counts().refused_rate), (3, 1));
    sleep(Duration::from_millis(1_100)).await;
    connect(&app).await;
    turned_away(&app).await;
}

#[tokio::test]
async fn a_packet_is_limited_by_its_header_before_the_acknowledgement_and_after() {
    let app = room(|config| {
        config.limits.handshake.size = "4KiB".parse().expect("a size");
        config.limits.packet.initial = "8KiB".parse().expect("a size");
        config.limits.packet.size = "32KiB".parse().expect("a size");
    })
    .await;
    let header = |length: u32| {
        let [_, a, b, c] = length.to_be_bytes();
        [PacketKind::Data as u8, a, b, c]
    };
    // The header alone is enough, at any time before the acknowledgement.
    let (mut silent, mut welcomed) = (RawClient::silent(&app).await, RawClient::welcomed(&app, "{}").await);
    for client in [&mut silent, &mut welcomed] {
        client.send(&header(8 * 1024 + 1)).await;
        assert_eq!(client.rest().await, []);
    }
    assert_eq!(app.counts().closed("malformed"), 2);
    // After it the other limit holds, to the byte.
    let mut client = RawClient::open(&app).await;
    let overhead = request(1, "game.room.length", "").len() - 4;
    let body = "x".repeat(32 * 1024 - overhead);
    assert_eq!(client.ask(1, "game.room.length", &body).await, answer(1, &body.len().to_string()));
    client.send(&header(32 * 1024 + 1)).await;
    assert_eq!(client.rest().await, []);
    assert_eq!(app.counts().closed("malformed"), 3);
}

#[tokio::test]
async fn the_clients_handshake_is_limited_too() {
    let app = room(|_| {}).await;
    let shake = |length: usize| wrap(PacketKind::Handshake, format!("{:length$}", "{}").as_bytes());
    let mut client = RawClient::silent(&app).await;
    client.send(&shake(16 * 1024)).await;
    assert!(matches!(client.hear().await, Said::Welcome(text) if text.contains(r#""code":200"#)));
    let mut client = RawClient::silent(&app).await;
    client.send(&shake(16 * 1024 + 1)).await;
    let said = client.rest().await;
    assert!(matches!(&said[..], [Said::Welcome(text)] if text.contains(r#""code":400"#)), "{said:?}");
    eventually("it is counted", || app.counts().closed("handshake_refused") == 1).await;
}
