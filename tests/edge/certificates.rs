//! Files that are wrong are told at the start, each by its name and cause.

use crate::support::{Files, Room, dial, start};
use pitaya_runtime::Problem;
use pitaya_runtime::accept::TlsError;
use pitaya_runtime::prelude::*;
use pitaya_tests::capture::Capture;
use pitaya_tests::certificates::{Authority, Pair};
use std::path::PathBuf;

/// Certificate, key and authorities; what the error is, a part of its text, and the file in it.
type Case = (PathBuf, PathBuf, Option<PathBuf>, fn(&TlsError) -> bool, &'static str, &'static str);

/// Why there is no app with these files.
fn refused(certificate: PathBuf, key: PathBuf, authorities: Option<PathBuf>) -> BuildError {
    let mut tls = Tcp::bind("127.0.0.1:0").tls(certificate, key);
    if let Some(authorities) = authorities {
        tls = tls.require_client_certificates(authorities);
    }
    Builder::new("game").acceptor(tls).handlers(Room).build().expect_err("nothing to start with")
}

#[test]
fn each_cause_has_its_own_error_with_the_file_in_it() {
    let (files, other) = (Files::new(), Files::new());
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let (certificate, key) = (files.certificate(), files.key());
    let nowhere = files.path().join("nowhere.pem");
    let folder = files.path().to_owned();
    let empty = write("empty.pem", "");
    let text = write("text.pem", "no PEM at all");
    let cut = write("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
    let junk = write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let key_only = write("key_only.pem", &files.pair.key);
    let certificate_only = write("certificate_only.pem", &files.pair.certificate);
    let bad_key = write("bad_key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    // An issuer in front of the server's own certificate.
    let turned = write("turned.pem", &format!("{}{}", Authority::new().pem(), files.pair.certificate));
    // The certificate of a client in place of its authority's.
    let leaf = write("leaf.pem", &Authority::new().client("ann").0.certificate);
    let cases: [Case; 16] = [
        (
            nowhere.clone(),
            key.clone(),
            None,
            |e| matches!(e, TlsError::Unreadable { .. }),
            "No such file",
            "nowhere.pem",
        ),
        (folder, key.clone(), None, |e| matches!(e, TlsError::Unreadable { .. }), "cannot be read", "directory"),
        (
            empty.clone(),
            key.clone(),
            None,
            |e| matches!(e, TlsError::Empty { .. }),
            "no certificate in it",
            "empty.pem",
        ),
        (
            text.clone(),
            key.clone(),
            None,
            |e| matches!(e, TlsError::Empty { .. }),
            "it is not PEM, for no line",
            "text.pem",
        ),
        (
            certificate.clone(),
            key.clone(),
            Some(leaf),
            |e| matches!(e, TlsError::Unusable { .. }),
            "there is no authority in it (CA:TRUE)",
            "leaf.pem",
        ),
        (
            certificate.clone(),
            text,
            None,
            |e| matches!(e, TlsError::Empty { .. }),
            "has no private key in it: it is not PEM",
            "text.pem",
        ),
        (cut, key.clone(), None, |e| matches!(e, TlsError::NotPem { .. }), "is not PEM", "cut.pem"),
        (junk.clone(), key.clone(), None, |e| matches!(e, TlsError::Unusable { .. }), "cannot be used", "junk.pem"),
        (key_only, key.clone(), None, |e| matches!(e, TlsError::Empty { .. }), "no certificate in it", "key_only.pem"),
        (certificate.clone(), nowhere, None, |e| matches!(e, TlsError::Unreadable { .. }), "key file", "nowhere.pem"),
        (
            certificate.clone(),
            certificate_only,
            None,
            |e| matches!(e, TlsError::Empty { .. }),
            "no private key in it",
            "certificate_only.pem",
        ),
        (
            certificate.clone(),
            bad_key,
            None,
            |e| matches!(e, TlsError::Unusable { .. }),
            "cannot be used",
            "bad_key.pem",
        ),
        (
            certificate.clone(),
            other.key(),
            None,
            |e| matches!(e, TlsError::Mismatch { .. }),
            "do not go together",
            "server.key",
        ),
        (turned, key.clone(), None, |e| matches!(e, TlsError::Mismatch { .. }), "first certificate", "turned.pem"),
        (
            certificate.clone(),
            key.clone(),
            Some(empty),
            |e| matches!(e, TlsError::Empty { .. }),
            "client authorities",
            "empty.pem",
        ),
        (certificate, key, Some(junk), |e| matches!(e, TlsError::Unusable { .. }), "client authorities", "junk.pem"),
    ];
    for (certificate, key, authorities, is, text, file) in cases {
        let error = refused(certificate, key, authorities);
        let told = error.to_string();
        let [Problem::Acceptor { cause, .. }] = error.problems() else { panic!("{told}") };
        assert!(cause.downcast_ref::<TlsError>().is_some_and(is), "{cause:?}");
        assert!(told.contains(text) && told.contains(file) && told.contains("tls://127.0.0.1:0"), "{text}: {told}");
    }
}

/// A self-signed certificate of a client is its own authority, and one of several that cannot vouch is a warning.
#[test]
fn authorities_that_can_vouch_are_taken() {
    let (files, authority) = (Files::new(), Authority::new());
    let (log, _capture) = Capture::start(tracing::Level::INFO);
    let leaf = authority.client("ann").0.certificate;
    for (text, warned) in
        [(authority.pem(), false), (Pair::localhost().certificate, false), (format!("{}{leaf}", authority.pem()), true)]
    {
        let path = files.path().join("authorities.pem");
        std::fs::write(&path, text).expect("written");
        let tls = files.tls().require_client_certificates(path);
        Builder::new("game").acceptor(tls).handlers(Room).build().expect("it starts");
        assert_eq!(log.text().contains("authorities.pem has certificates that are no authorities"), warned);
    }
}

#[test]
fn a_config_that_names_no_files_says_which_key_does() {
    let error = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0").tls_by_config()).handlers(Room).build();
    let error = error.expect_err("no files").to_string();
    assert!(error.contains("no certificate file is named: set `pitaya.acceptor.tls.certificate`"), "{error}");
}

#[tokio::test]
async fn the_config_names_the_files() {
    let files = Files::new();
    let configured = |config: &mut Config| {
        config.acceptor.tls.certificate = files.certificate().display().to_string();
        config.acceptor.tls.key = files.key().display().to_string();
    };
    let wss = WebSocket::over(Tcp::bind("127.0.0.1:0").tls_by_config());
    let app = start(Builder::new("game").configure(configured).acceptor(wss)).await;
    let client = dial(&app, 0, "wss", &files.pair).await.expect("the right certificate");
    assert_eq!(client.request_raw("game.room.echo", "x").await.expect("served"), "x");
}

/// What is over or not valid yet is for clients to judge: the server runs, and says so.
#[tokio::test]
async fn an_expired_certificate_is_a_warning() {
    let folder = tempfile::tempdir().expect("a directory");
    let (certificate, key) = Pair::expired().write(folder.path());
    let (log, _capture) = Capture::start(tracing::Level::INFO);
    let app = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0").tls(certificate, key)).handlers(Room).build();
    app.expect("it starts all the same");
    let text = log.text();
    assert!(text.contains("WARN") && text.contains("server.crt has expired"), "{text}");
}
