//! Private keys in damaged files: no part of them is in an error, a log line or `Debug`, of a server or of a client.

use crate::support::{Files, Room, eventually, start};
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use pitaya_tests::capture::Capture;
use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

/// What happens to a key on its way through variables, templates and editors.
fn damaged(key: &str) -> Vec<(&'static str, Vec<u8>)> {
    let (first, rest) = key.split_once('\n').expect("lines");
    let utf16 = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts = [
        ("line ends lost", key.replace('\n', "")),
        ("line ends became blanks", key.replace('\n', " ")),
        ("line ends escaped", key.replace('\n', "\\n")),
        ("first line end lost", format!("{first}{rest}")),
        ("last line end lost", key.replace("\n-----END", "-----END")),
        ("cut off", key[..key.len() - 30].to_owned()),
        ("cut off in the first line", key[..60].to_owned()),
        ("no head", rest.to_owned()),
        ("in quotes", format!("'{key}'")),
        ("another character", key.replacen(|c: char| c.is_ascii_digit(), "%", 3)),
        ("a character is missing", key.replacen("MI", "M", 1)),
        ("two lines changed places", key.lines().rev().collect::<Vec<_>>().join("\n")),
        ("twice without a line end", format!("{}{key}", key.trim_end())),
    ];
    let mut all: Vec<_> = texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    all.push(("UTF-16", utf16));
    all.push(("a byte of another encoding", key.bytes().chain([0xfc]).collect()));
    all
}

/// Fails if 12 characters of the key, or 6 bytes of it as numbers, are in a text.
fn assert_nothing_of(key: &str, what: &str, text: &str) {
    for line in key.lines().filter(|line| line.len() > 12 && !line.starts_with("-----")) {
        for at in 0..line.len() - 12 {
            assert!(!text.contains(&line[at..at + 12]), "{what}: {text}");
            let numbers = format!("{:?}", &line.as_bytes()[at..at + 6]);
            assert!(!text.contains(numbers.trim_matches(['[', ']'])), "{what}: {text}");
        }
    }
}

/// An error as it is displayed, debugged and followed to its sources.
fn all_of(error: &dyn Error) -> String {
    let (mut text, mut next) = (String::new(), Some(error));
    while let Some(error) = next {
        write!(text, "{error} {error:?} {error:#?} ").expect("a text");
        next = error.source();
    }
    text
}

#[tokio::test]
async fn a_server_does_not_show_a_damaged_key() {
    let (log, _guard) = Capture::filtered("trace");
    let files = Files::new();
    let key = files.pair.key.clone();
    // One file for both, as some tools write them: the certificate's reader sees the key, too.
    for path in [files.key(), files.certificate()] {
        let whole = std::fs::read_to_string(&path).expect("written");
        for (name, bytes) in damaged(&key) {
            let bytes = [bytes, whole.replace(&key, "").into_bytes()].concat();
            std::fs::write(&path, bytes).expect("written");
            let built = Builder::new("game").acceptor(files.tls()).handlers(Room).build();
            if let Err(error) = built {
                assert_nothing_of(&key, name, &all_of(&error));
            }
        }
        std::fs::write(&path, whole).expect("written");
    }
    assert_nothing_of(&key, "the log", &log.text());
}

#[tokio::test]
async fn a_reload_does_not_show_a_damaged_key() {
    let (log, _guard) = Capture::filtered("trace");
    let files = Files::new();
    let key = files.pair.key.clone();
    let often = |config: &mut Config| config.acceptor.tls.reload = Duration::from_millis(5);
    let app = start(Builder::new("game").configure(often).acceptor(files.tls())).await;
    let before = app.counts().failed_reloads;
    for (name, bytes) in damaged(&key) {
        std::fs::write(files.key(), bytes).expect("written");
        let error = app.reload().await.expect_err(name);
        assert_nothing_of(&key, name, &all_of(&error));
        assert!(error.to_string().contains("server.key"), "{error}");
    }
    // It also looks by itself, and says so in the log.
    eventually("it has looked", || app.counts().failed_reloads > before + 20).await;
    let complaints = log.lines("server.key");
    assert!(!complaints.is_empty(), "{}", log.text());
    assert_nothing_of(&key, "the log", &log.text());
}

#[tokio::test]
async fn a_client_does_not_show_its_key() {
    let (log, _guard) = Capture::filtered("trace");
    let files = Files::new();
    let (key, certificate) = (files.pair.key.clone(), files.pair.certificate.clone());
    let app = start(Builder::new("game").acceptor(files.tls())).await;
    let address = format!("tls://localhost:{}", app.addresses()[0].port());
    let options = || Client::options().root_certificate(certificate.clone()).user("token", key.clone());
    let whole = options().client_certificate(certificate.clone(), key.clone());
    assert_nothing_of(&key, "debug", &format!("{whole:?} {whole:#?}"));
    assert!(format!("{whole:?}").contains("\"token\""), "the name of what it says is shown: {whole:?}");
    for (name, bytes) in damaged(&key) {
        for options in [
            options().client_certificate(certificate.clone(), bytes.clone()),
            options().client_certificate(bytes.clone(), key.clone()),
            options().root_certificate(bytes.clone()),
        ] {
            assert_nothing_of(&key, name, &format!("{options:?}"));
            let error = options.connect(&address).await.map(drop).expect_err(name);
            assert_nothing_of(&key, name, &all_of(&error));
        }
    }
    assert_nothing_of(&key, "the log", &log.text());
}

#[tokio::test]
async fn a_client_does_not_show_a_password_in_an_address() {
    for address in ["tcp://ann:hush@127.0.0.1:1", "ws://ann:hush@[::1]:1/", "ftp://ann:hush@x", "ann:hush@x:1"] {
        let error = Client::connect(address).await.map(drop).expect_err(address);
        assert!(!all_of(&error).contains("hush"), "{error:?}");
    }
}
