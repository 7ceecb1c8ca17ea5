//! The limit of connections from one address counts the real one.

use crate::support::{PROXY, STRANGER, behind_a_proxy, browser, dial, eventually, player, tcp, websocket};
use pitaya_runtime::prelude::*;
use pitaya_tests::client::Client;

fn line(address: &str) -> Vec<u8> {
    let (kind, target) = if address.contains(':') { ("TCP6", "::1") } else { ("TCP4", "10.0.0.1") };
    format!("PROXY {kind} {address} {target} 12345 80\r\n").into_bytes()
}

fn two_each(config: &mut Config) {
    config.limits.connections.peraddress = 2;
    behind_a_proxy(config);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_one_proxy_each_address_has_its_own_places() {
    let app = tcp(two_each).await;
    for address in ["192.0.2.1", "192.0.2.2"] {
        let first = player(&app, PROXY, &line(address)).await;
        let _second = player(&app, PROXY, &line(address)).await;
        let refused = app.counts().refused_address;
        Client::over(dial(app.addresses()[0], PROXY, &line(address)).await).assert_closed();
        assert_eq!(app.counts().refused_address, refused + 1);
        // A place that is given back is there again.
        drop(first);
        eventually("it has left", || app.sessions().count() == 1).await;
        loop {
            let mut third = Client::over(dial(app.addresses()[0], PROXY, &line(address)).await);
            third.send(&[1, 0, 0, 2, b'{', b'}']);
            if third.packet_or_end().is_some() {
                break;
            }
        }
        eventually("all have left", || app.sessions().count() <= 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ipv6_a_network_of_64_bits_counts_as_one() {
    let app = tcp(two_each).await;
    let _a = player(&app, PROXY, &line("2001:db8:1:2::1")).await;
    let _b = player(&app, PROXY, &line("2001:db8:1:2:ffff::9")).await;
    Client::over(dial(app.addresses()[0], PROXY, &line("2001:db8:1:2::3")).await).assert_closed();
    let _other = player(&app, PROXY, &line("2001:db8:1:3::1")).await;
    assert_eq!((app.sessions().count(), app.counts().refused_address), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_itself_is_not_limited_and_a_stranger_is() {
    let app = tcp(two_each).await;
    let mut checks = Vec::new();
    for _ in 0..5 {
        checks.push(player(&app, PROXY, b"PROXY UNKNOWN\r\n").await);
    }
    let _two = (player(&app, STRANGER, &[]).await, player(&app, STRANGER, &[]).await);
    Client::over(dial(app.addresses()[0], STRANGER, &[]).await).assert_closed();
    assert_eq!((app.sessions().count(), app.counts().refused_address), (7, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_the_address_in_a_header() {
    let app = websocket(|config| {
        two_each(config);
        config.acceptor.proxyprotocol = false;
    })
    .await;
    let headers = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    let _a = browser(&app, PROXY, &[], &headers("192.0.2.1")).await;
    let _b = browser(&app, PROXY, &[], &headers("192.0.2.1")).await;
    let stream = dial(app.addresses()[0], PROXY, &[]).await;
    Client::over(pitaya_tests::websocket::WebSocket::over(stream, "/", &headers("192.0.2.1"))).assert_closed();
    let _c = browser(&app, PROXY, &[], &headers("192.0.2.2")).await;
    assert_eq!((app.sessions().count(), app.counts().refused_address), (3, 1));
}
