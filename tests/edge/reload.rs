//! Certificates are renewed while clients are connected: nobody is sent away, and whoever comes then sees the new ones.

use crate::support::{Files, dial, eventually, start};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use pitaya_tests::certificates::Pair;
use pitaya_tests::process::Conformance;
use std::time::Duration;

/// An app that looks every 20 ms whether its files have changed.
async fn looking(files: &Files) -> App {
    let often = |config: &mut Config| config.acceptor.tls.reload = Duration::from_millis(20);
    start(Builder::new("game").configure(often).acceptor(files.tls()).acceptor(WebSocket::over(files.tls()))).await
}

async fn assert_shown(app: &App, new: &Pair, old: &Pair) {
    for (place, scheme) in [(0, "tls"), (1, "wss")] {
        dial(app, place, scheme, new).await.expect("the new certificate is shown");
        dial(app, place, scheme, old).await.expect_err("the old one is not");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_do_not_notice_that_certificates_change() {
    let mut files = Files::new();
    let app = looking(&files).await;
    let clients = stream::iter(0..1_000).map(|_| dial(&app, 0, "tls", &files.pair)).buffer_unordered(16);
    let clients: Vec<Client> = clients.map(|client| client.expect("accepted")).collect().await;
    let old = files.renew();
    eventually("both acceptors have read the files", || app.counts().reloads >= 2).await;
    assert_shown(&app, &files.pair, &old).await;
    let answers = join_all(clients.iter().map(|client| client.request_raw("game.room.echo", "x"))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|body| body == "x")), "nobody was sent away");
    assert_eq!(app.counts().failed_reloads, 0);
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_until_they_are_right() {
    let mut files = Files::new();
    let app = looking(&files).await;
    std::fs::write(files.certificate(), "not a certificate").expect("written");
    eventually("it was looked at, again and again", || app.counts().failed_reloads >= 6).await;
    dial(&app, 0, "tls", &files.pair).await.expect("the old certificate stays in force");
    let error = app.reload().await.expect_err("still wrong").to_string();
    assert!(error.contains("server.crt has no certificate in it") && error.contains("tls://127.0.0.1:0"), "{error}");
    std::fs::remove_file(files.key()).expect("removed");
    let old = files.renew();
    let before = app.counts().reloads;
    eventually("they are taken when they are right", || app.counts().reloads >= before + 2).await;
    assert_shown(&app, &files.pair, &old).await;
}

#[tokio::test]
async fn without_looking_they_are_read_when_the_app_is_told_to() {
    let mut files = Files::new();
    let never = |config: &mut Config| config.acceptor.tls.reload = Duration::ZERO;
    let app = start(Builder::new("game").configure(never).acceptor(files.tls())).await;
    let client = dial(&app, 0, "tls", &files.pair).await.expect("accepted");
    let old = files.renew();
    dial(&app, 0, "tls", &old).await.expect("nobody has looked");
    app.reload().await.expect("they are right");
    dial(&app, 0, "tls", &files.pair).await.expect("the new one is shown");
    dial(&app, 0, "tls", &old).await.expect_err("and the old one is not");
    assert_eq!(client.request_raw("game.room.echo", "x").await.expect("still connected"), "x");
    assert_eq!(app.counts().reloads, 1);
}

/// A process of its own: signals are the process's.
#[tokio::test]
async fn sighup_reads_them_and_ends_nothing() {
    let mut files = Files::new();
    let (certificate, key) = (files.certificate().display().to_string(), files.key().display().to_string());
    let env = [
        ("PITAYA_ACCEPTOR_TLS_CERTIFICATE", &*certificate),
        ("PITAYA_ACCEPTOR_TLS_KEY", &*key),
        ("PITAYA_ACCEPTOR_TLS_RELOAD", "0"),
        ("RUST_LOG", "info"),
    ];
    let mut server = Conformance::start(&["-ways", "tls,wss"], &env);
    let connect = |pair: &Pair| {
        let options = Client::options().root_certificate(pair.certificate.clone());
        let address = format!("tls://localhost:{}", server.addresses()[0].port());
        async move { options.connect(&address).await }
    };
    let client = connect(&files.pair).await.expect("accepted");
    let old = files.renew();
    connect(&old).await.expect("nobody has looked");
    server.signal("HUP");
    for _ in 0..2 {
        server.logs("its files were read again");
    }
    connect(&files.pair).await.expect("the new one is shown");
    connect(&old).await.expect_err("and the old one is not");
    assert_eq!(client.request_raw("connector.room.join", "x").await.expect("still connected"), "x");
    drop(client);
    assert!(server.terminate().success());
}
