//! The addresses that proxies write into an upgrade.

use crate::support::{PROXY, STRANGER, address_of, behind_a_proxy, browser, websocket, who};

fn trusting(header: &str) -> impl FnOnce(&mut pitaya_runtime::config::Config) {
    let header = header.to_owned();
    move |config| {
        config.acceptor.trustedproxies =
            vec![PROXY.parse().expect("a network"), "10.0.0.0/8".parse().expect("a network")];
        config.acceptor.clientheader = header;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rightmost_that_is_no_proxy_is_the_client() {
    let app = websocket(trusting("x-forwarded-for")).await;
    for (headers, address, version) in [
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7:0", "ipv4"),
        ("x-forwarded-for: 6.6.6.6, 192.0.2.7, 10.1.1.1\r\n", "192.0.2.7:0", "ipv4"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 2001:db8::7\r\n", "[2001:db8::7]:0", "ipv6"),
        ("X-Forwarded-For: [2001:db8::7]:99\r\nForwarded: for=6.6.6.6\r\n", "[2001:db8::7]:99", "ipv6"),
    ] {
        let mut client = browser(&app, PROXY, &[], headers).await;
        let (known, kind) = who(&mut client);
        assert_eq!((&*known, &*kind.to_lowercase()), (address, version), "{headers}");
    }
    for headers in ["", "X-Forwarded-For: 6.6.6.6, unknown\r\n", "Forwarded: for=6.6.6.6\r\n", "X-Real-IP: 6.6.6.6\r\n"]
    {
        let mut client = browser(&app, PROXY, &[], headers).await;
        assert!(address_of(&mut client).starts_with(PROXY), "{headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_says_changes_nothing() {
    let headers = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n";
    for (from, app) in [
        (STRANGER, websocket(trusting("x-forwarded-for")).await),
        (STRANGER, websocket(trusting("forwarded")).await),
        (PROXY, websocket(trusting("")).await),
        (PROXY, websocket(|_| {}).await),
    ] {
        let mut client = browser(&app, from, &[], headers).await;
        assert!(address_of(&mut client).starts_with(from));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_header_by_key() {
    let app = websocket(trusting("forwarded")).await;
    let headers = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6, for=\"[2001:db8::7]:99\";proto=https\r\n";
    assert_eq!(address_of(&mut browser(&app, PROXY, &[], headers).await), "[2001:db8::7]:99");
    let app = websocket(trusting("CF-Connecting-IP")).await;
    let headers = "X-Forwarded-For: 6.6.6.6\r\nCF-Connecting-IP: 192.0.2.7\r\n";
    assert_eq!(address_of(&mut browser(&app, PROXY, &[], headers).await), "192.0.2.7:0");
}

/// A balancer of TCP hands on what its clients write: once it has named the client, that one is the peer, and no proxy.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_header_the_client_is_not_believed() {
    let app = websocket(behind_a_proxy).await;
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n";
    let mut client = browser(&app, PROXY, header, "X-Forwarded-For: 6.6.6.6\r\n").await;
    assert_eq!(address_of(&mut client), "192.0.2.7:12345");
}
