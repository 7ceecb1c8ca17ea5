//! Several certificates on one port: `openssl s_client` gets the one for its name, and of a kind that it can verify.

use crate::support::{Files, dial, eventually, start};
use pitaya_runtime::prelude::*;
use pitaya_tests::certificates::Authority;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Runs openssl in a folder.
fn openssl(folder: &TempDir, args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).current_dir(folder.path()).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A certificate of a key that openssl makes, and its key.
fn certificate(folder: &TempDir, name: &str, host: &str, key: &[&str]) -> (PathBuf, PathBuf) {
    let (certificate, key_file) = (format!("{name}.crt"), format!("{name}.key"));
    let subject = format!("/CN={name}");
    let alternative = format!("subjectAltName=DNS:{host}");
    let fixed = ["req", "-x509", "-nodes", "-days", "2", "-subj", &subject, "-addext", &alternative];
    openssl(folder, &[&fixed[..], &["-out", &certificate, "-keyout", &key_file], key].concat());
    (folder.path().join(certificate), folder.path().join(key_file))
}

const ECDSA: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

/// The name in the certificate that a client gets, `None` when there is none.
async fn shown(app: &App, args: &[&'static str]) -> Option<String> {
    let port = app.addresses()[0].port();
    let args = args.to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        let connect = format!("127.0.0.1:{port}");
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &connect]).args(args).stdin(std::process::Stdio::null());
        String::from_utf8_lossy(&command.output().expect("openssl is installed").stdout).into_owned()
    });
    let text = asking.await.expect("it ran");
    let subject = text.lines().find_map(|line| line.strip_prefix("subject="))?;
    Some(subject.replace(' ', "").trim_start_matches("CN=").to_owned())
}

#[tokio::test]
async fn a_client_gets_the_certificate_for_its_name_and_of_its_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name, host, key| certificate(&folder, name, host, key);
    let (first, first_key) = of("first-ecdsa", "game.test", ECDSA);
    let (rsa, rsa_key) = of("first-rsa", "game.test", RSA);
    let (other, other_key) = of("other", "*.other.test", ECDSA);
    let further = [(rsa, rsa_key), (other, other_key)].map(|(c, k)| (c.display().to_string(), k.display().to_string()));
    let by_config = |config: &mut Config| {
        config.acceptor.tls.certificate = first.display().to_string();
        config.acceptor.tls.key = first_key.display().to_string();
        config.acceptor.tls.further = further.clone().into_iter().collect();
    };
    let configured =
        start(Builder::new("game").configure(by_config).acceptor(Tcp::bind("127.0.0.1:0").tls_by_config()));
    let mut tls = Tcp::bind("127.0.0.1:0").tls(&first, &first_key);
    for (certificate, key) in &further {
        tls = tls.with_certificate(certificate, key);
    }
    for app in [configured.await, start(Builder::new("game").acceptor(tls)).await] {
        for (args, expected) in [
            (&["-servername", "game.test"][..], "first-ecdsa"),
            (&["-servername", "eu.other.test"], "other"),
            (&["-servername", "nobody.test"], "first-ecdsa"),
            (&["-noservername"], "first-ecdsa"),
            (&["-servername", "game.test", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"], "first-rsa"),
            (&["-servername", "game.test", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "first-rsa"),
            (&["-servername", "game.test", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "first-ecdsa"),
            (&["-noservername", "-sigalgs", "RSA-PSS+SHA256"], "first-rsa"),
        ] {
            assert_eq!(shown(&app, args).await.as_deref(), Some(expected), "{args:?}");
        }
        // A name whose certificate the client cannot verify: an alert, and no other name's certificate.
        assert_eq!(shown(&app, &["-servername", "eu.other.test", "-sigalgs", "RSA-PSS+SHA256"]).await, None);
    }
}

#[tokio::test]
async fn a_further_certificate_is_read_again_when_it_changes() {
    let (files, folder) = (Files::new(), tempfile::tempdir().expect("a folder"));
    let authority = Authority::new();
    let (certificate, key) = authority.server(&["other.test"]).write(folder.path());
    let often = |config: &mut Config| config.acceptor.tls.reload = std::time::Duration::from_millis(20);
    let tls = files.tls().with_certificate(&certificate, &key);
    let app = start(Builder::new("game").configure(often).acceptor(tls)).await;
    let client = dial(&app, 0, "tls", &files.pair).await.expect("the first one is shown");
    authority.server(&["new.test"]).write(folder.path());
    eventually("it is read", || app.counts().reloads > 0).await;
    let port = app.addresses()[0].port();
    let options = || pitaya_client::Client::options().root_certificate(authority.pem());
    options().server_name("new.test").connect(&format!("tls://127.0.0.1:{port}")).await.expect("the new one");
    options().server_name("other.test").connect(&format!("tls://127.0.0.1:{port}")).await.expect_err("it is gone");
    assert_eq!(client.request_raw("game.room.echo", "x").await.expect("still connected"), "x");
    std::fs::write(&key, "no key").expect("written");
    let error = app.reload().await.expect_err("the further key is wrong").to_string();
    assert!(error.contains("has no private key in it"), "{error}");
}

/// Each key that is not supported is named, as openssl makes it.
#[test]
fn keys_that_are_not_supported_are_named_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (good, good_key) = certificate(&folder, "good", "localhost", RSA);
    let file = |name: &str| folder.path().join(name);
    openssl(&folder, &["pkcs8", "-topk8", "-in", "good.key", "-passout", "pass:x", "-out", "encrypted.key"]);
    let traditional = ["rsa", "-traditional", "-aes128", "-in", "good.key", "-passout", "pass:x", "-out", "old.key"];
    openssl(&folder, &traditional);
    openssl(&folder, &["pkey", "-in", "good.key", "-outform", "der", "-out", "der.key"]);
    openssl(&folder, &["x509", "-in", "good.crt", "-outform", "der", "-out", "der.crt"]);
    let p521 = certificate(&folder, "p521", "localhost", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]);
    let short = certificate(&folder, "short", "localhost", &["-newkey", "rsa:1024"]);
    for ((certificate, key), text) in [
        ((good.clone(), file("encrypted.key")), "encrypted.key cannot be used: the private key in line 1 is encrypted"),
        ((good.clone(), file("old.key")), "old.key cannot be used: the private key in line 1 is encrypted"),
        ((good, file("der.key")), "der.key is not PEM: it is DER or PKCS #12"),
        ((file("der.crt"), good_key), "der.crt is not PEM: it is DER or PKCS #12"),
        (p521, "p521.key cannot be used: the key is on the curve P-521"),
        (short, "short.key cannot be used: the key is an RSA key of 1024 bits"),
    ] {
        let tls = Tcp::bind("127.0.0.1:0").tls(certificate, key);
        let error =
            Builder::new("game").acceptor(tls).handlers(crate::support::Room).build().expect_err(text).to_string();
        assert!(error.contains(text), "{text}: {error}");
    }
}
