//! The socket that listens, and the pages that may connect.

use crate::support::{Game, browser, start, websocket};
use pitaya_runtime::prelude::*;
use pitaya_tests::websocket::request;
use std::io::{Read, Write};
use std::net::TcpStream;

#[tokio::test]
async fn two_apps_share_a_port_when_both_are_told_to() {
    let shared = |address: String, shares: bool| {
        let builder = Builder::new("game").acceptor(Tcp::bind(address)).handlers(Game);
        builder.configure(move |config| config.acceptor.reuseport = shares).build().expect("a valid app")
    };
    let first = shared("127.0.0.1:0".to_owned(), true);
    first.start().await.expect("a free port");
    let address = first.addresses()[0].to_string();
    shared(address.clone(), false).start().await.expect_err("the port is taken");
    let second = shared(address.clone(), true);
    second.start().await.expect("the port is shared");
    // With the first gone, clients come to the second: none of them is lost to a socket that nobody reads.
    first.shutdown().await;
    for _ in 0..20 {
        pitaya_client::Client::connect(&format!("tcp://{address}")).await.expect("accepted").close().await;
    }
    assert_eq!(second.counts().accepted, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_not_connect() {
    let by_key = websocket(|config| {
        config.acceptor.origins = vec!["https://game.example".to_owned(), "https://*.play.example".to_owned()];
    })
    .await;
    let web = WebSocket::bind("127.0.0.1:0").origins(["https://game.example", "https://*.play.example"]);
    let other = |config: &mut Config| config.acceptor.origins = vec!["https://other.example".to_owned()];
    let by_call = start(Builder::new("game").acceptor(web).handlers(Game).configure(other)).await;
    for app in [by_key, by_call] {
        for headers in ["", "Origin: https://game.example\r\n", "Origin: https://a.play.example\r\n"] {
            browser(&app, "127.0.0.1", &[], headers).await;
        }
        for origin in ["https://evil.example", "https://other.example", "http://game.example", "null"] {
            let mut stream = TcpStream::connect(app.addresses()[0]).expect("accepted");
            stream.write_all(request("/", &format!("Origin: {origin}\r\n")).as_bytes()).expect("written");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 403 "), "{origin}: {answer}");
        }
    }
}

#[test]
fn what_is_no_origin_is_told_at_the_start() {
    let build = |acceptor: WebSocket, origins: &[&str]| {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let builder = Builder::new("game").acceptor(acceptor).handlers(Game);
        builder.configure(|config| config.acceptor.origins = origins).build().expect_err("no origin").to_string()
    };
    let error = build(WebSocket::bind("127.0.0.1:0"), &["game.example"]);
    assert!(error.contains("pitaya.acceptor.origins: `game.example` is no origin"), "{error}");
    let error = build(WebSocket::bind("127.0.0.1:0").origins(["https://a/b"]), &[]);
    assert!(error.contains("`https://a/b` is no origin"), "{error}");
}
