//! Certificates of clients, and the versions they speak.

use crate::support::{Files, dial, eventually, start};
use pitaya_client::{Client, ConnectError};
use pitaya_runtime::Refusal;
use pitaya_runtime::accept::Tls;
use pitaya_runtime::config::TlsVersion;
use pitaya_runtime::prelude::*;
use pitaya_runtime::wire::HandshakeData;
use pitaya_runtime::{BoxFuture, Validator};
use pitaya_tests::certificates::{Authority, Pair};
use std::process::Command;

/// Only the holder of one certificate may come in.
struct Only(Vec<u8>);

impl Validator for Only {
    fn validate<'a>(&'a self, session: &'a Session, _: &'a HandshakeData) -> BoxFuture<'a, Result<(), Refusal>> {
        let known = session.certificate().is_some_and(|certificate| certificate.der() == self.0);
        Box::pin(async move { if known { Ok(()) } else { Err(Refusal::from("not this certificate")) } })
    }
}

async fn show(app: &App, trusted: &Pair, own: &Pair) -> Result<Client, ConnectError> {
    let address = format!("tls://localhost:{}", app.addresses()[0].port());
    let options = Client::options().root_certificate(trusted.certificate.clone());
    options.client_certificate(own.certificate.clone(), own.key.clone()).connect(&address).await
}

async fn asking(files: &Files, authority: &Authority, ask: impl FnOnce(Tls<Tcp>, &std::path::Path) -> Tls<Tcp>) -> App {
    let path = files.path().join("clients.pem");
    std::fs::write(&path, authority.pem()).expect("written");
    start(Builder::new("game").acceptor(ask(files.tls(), &path))).await
}

#[tokio::test]
async fn a_required_certificate_lets_in_whom_the_authority_knows() {
    let (files, authority, stranger) = (Files::new(), Authority::new(), Authority::new());
    let app = asking(&files, &authority, |tls, path| tls.require_client_certificates(path)).await;
    let (ann, der) = authority.client("ann");
    let client = show(&app, &files.pair, &ann).await.expect("known");
    let who = client.request_raw("game.room.who", "").await.expect("served");
    let fingerprint = pitaya_tests::certificates::fingerprint(&files.path().join("ann.der"), &der);
    assert_eq!(String::from_utf8_lossy(&who), format!("\"ClientCertificate({fingerprint})\""));

    let (other, _) = stranger.client("ann");
    show(&app, &files.pair, &other).await.expect_err("of another authority");
    dial(&app, 0, "tls", &files.pair).await.expect_err("without a certificate");
    eventually("both are counted", || app.counts().failed_establish == 2).await;
    assert_eq!(client.request_raw("game.room.echo", "x").await.expect("still here"), "x");
}

#[tokio::test]
async fn an_optional_certificate_may_be_left_out_but_not_wrong() {
    let (files, authority, stranger) = (Files::new(), Authority::new(), Authority::new());
    let app = asking(&files, &authority, |tls, path| tls.accept_client_certificates(path)).await;
    let nobody = dial(&app, 0, "tls", &files.pair).await.expect("none is fine");
    assert_eq!(nobody.request_raw("game.room.who", "").await.expect("served"), "\"nobody\"");
    let ann = show(&app, &files.pair, &authority.client("ann").0).await.expect("a known one too");
    assert_ne!(ann.request_raw("game.room.who", "").await.expect("served"), "\"nobody\"");
    show(&app, &files.pair, &stranger.client("ann").0).await.expect_err("of another authority");
}

#[tokio::test]
async fn authorities_are_read_again_with_the_rest() {
    let (files, before, after) = (Files::new(), Authority::new(), Authority::new());
    let app = asking(&files, &before, |tls, path| tls.require_client_certificates(path)).await;
    let (old, new) = (before.client("ann").0, after.client("ann").0);
    let client = show(&app, &files.pair, &old).await.expect("known");
    show(&app, &files.pair, &new).await.expect_err("not known yet");
    std::fs::write(files.path().join("clients.pem"), after.pem()).expect("written");
    app.reload().await.expect("it is right");
    show(&app, &files.pair, &new).await.expect("known now");
    show(&app, &files.pair, &old).await.expect_err("not known any more");
    assert_eq!(client.request_raw("game.room.echo", "x").await.expect("still here"), "x");
}

#[tokio::test]
async fn validators_of_the_handshake_see_the_certificate() {
    let (files, authority) = (Files::new(), Authority::new());
    let path = files.path().join("clients.pem");
    std::fs::write(&path, authority.pem()).expect("written");
    let ((ann, der), (bob, _)) = (authority.client("ann"), authority.client("bob"));
    let tls = files.tls().require_client_certificates(path);
    let app = start(Builder::new("game").acceptor(tls).validate_handshake("certificate", Only(der))).await;
    show(&app, &files.pair, &ann).await.expect("ann may");
    let error = show(&app, &files.pair, &bob).await.expect_err("bob may not");
    assert!(matches!(&error, ConnectError::Refused { .. }), "{error}");
}

/// Whether a client of this version gets through the TLS handshake.
fn speaks(app: &App, version: &str) -> bool {
    let address = app.addresses()[0].to_string();
    let command = ["s_client", "-connect", &address, version, "-brief"];
    let client = Command::new("openssl").args(command).stdin(std::process::Stdio::null()).output();
    let said = String::from_utf8_lossy(&client.expect("openssl is installed").stderr).into_owned();
    said.contains("CONNECTION ESTABLISHED")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_oldest_version_is_a_setting_of_the_config_and_of_the_program() {
    let files = Files::new();
    let app = start(Builder::new("game").acceptor(files.tls())).await;
    assert!(speaks(&app, "-tls1_2") && speaks(&app, "-tls1_3") && !speaks(&app, "-tls1_1"));
    let newer = |config: &mut Config| config.acceptor.tls.minversion = TlsVersion::V1_3;
    let app = start(Builder::new("game").configure(newer).acceptor(files.tls())).await;
    assert!(!speaks(&app, "-tls1_2") && speaks(&app, "-tls1_3"));
    // The program says otherwise, and wins.
    let tls = files.tls().min_version(TlsVersion::V1_2);
    let app = start(Builder::new("game").configure(newer).acceptor(tls)).await;
    assert!(speaks(&app, "-tls1_2"));
}
