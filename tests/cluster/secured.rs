//! Brokers and etcd behind TLS and logins: real ones, each with the certificates or the logins that it wants.

use crate::world::{connect, meet};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use pitaya_runtime::config::Secret;
use pitaya_runtime::prelude::*;
use pitaya_tests::certificates::Authority;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer as Nats;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }
}

/// Files of an authority, a service's certificate and a client's.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        // For an address and a name: each is tried.
        let server = authority.server(&["127.0.0.1", "service.test"]);
        let (client, _) = authority.client("pitaya");
        let all = Self { folder };
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("server.crt", server.certificate),
            ("server.key", server.key),
            ("client.crt", client.certificate),
            ("client.key", client.key),
            ("stranger.pem", Authority::new().pem()),
        ] {
            std::fs::write(all.path(name), text).expect("written");
        }
        all
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn nats(&self, port: &[&str]) -> Nats {
        let [certificate, key, authority] = ["server.crt", "server.key", "ca.pem"].map(|name| self.text(name));
        let tls = ["--tls", "--tlscert", &certificate, "--tlskey", &key, "--tlscacert", &authority, "--tlsverify"];
        Nats::start(&[&tls[..], port].concat())
    }

    fn etcd(&self) -> Etcd {
        Etcd::start_with_tls(&self.path("server.crt"), &self.path("server.key"), &self.path("ca.pem"))
    }
}

/// Sets the keys of one section `tls`.
macro_rules! trust {
    ($tls:expr, $certificates:expr) => {{
        $tls.authorities = $certificates.text("ca.pem");
        $tls.certificate = $certificates.text("client.crt");
        $tls.key = $certificates.text("client.key");
    }};
}

fn builder(kind: &str, nats: &str, etcd: &str) -> Builder {
    Builder::new(kind).clustered().etcd_groups().configure(|config| {
        config.cluster.rpc.client.nats.connect = nats.to_owned();
        config.cluster.rpc.client.nats.maxreconnectionretries = 0;
        config.cluster.sd.etcd.endpoints = vec![etcd.to_owned()];
        config.cluster.sd.etcd.grantlease.maxretries = 1;
        config.cluster.sd.etcd.grantlease.timeout = Duration::from_secs(3);
        config.cluster.sd.etcd.grantlease.retryinterval = Duration::from_millis(1);
        config.cluster.sd.etcd.dialtimeout = Duration::from_secs(2);
        config.groups.etcd.endpoints = vec![etcd.to_owned()];
    })
}

async fn started(builder: Builder) -> App {
    let app = builder.build().expect("a valid app");
    app.start().await.expect("it starts");
    app
}

async fn refused(builder: Builder) -> String {
    match builder.build() {
        Err(error) => error.to_string(),
        Ok(app) => app.start().await.expect_err("it cannot start").to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_speaks_tls_with_certificates_of_both_sides() {
    let certificates = Certificates::new();
    let (nats, etcd) = (certificates.nats(&[]), certificates.etcd());
    let url = nats.url().replace("nats://", "tls://");
    for (nats, etcd) in [
        (url.clone(), format!("https://{}", etcd.endpoint())),
        // Without a scheme the keys say it.
        (nats.url(), etcd.endpoint()),
    ] {
        let secured = |kind: &str| {
            builder(kind, &nats, &etcd).configure(|config| {
                trust!(config.cluster.rpc.client.nats.tls, certificates);
                trust!(config.cluster.sd.etcd.tls, certificates);
                trust!(config.groups.etcd.tls, certificates);
                // The name is checked in place of the host.
                config.cluster.sd.etcd.tls.servername = "service.test".to_owned();
                config.cluster.rpc.client.nats.tls.servername = "service.test".to_owned();
            })
        };
        let rooms = started(secured("room").handlers(Room)).await;
        let connector = started(secured("connector").acceptor(Tcp::bind("127.0.0.1:0"))).await;
        meet(&[&rooms, &connector]).await;
        let client = connect(&connector).await;
        assert_eq!(client.request_raw("room.room.echo", "x").await.expect("served by the other"), "x");
        // By another connection to etcd, with keys of its own.
        connector.groups().create(&format!("group {nats}")).await.expect("etcd has groups");
        for app in [connector, rooms] {
            app.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_trusted_and_a_client_without_a_certificate_are_refused() {
    let certificates = Certificates::new();
    let (nats, etcd) = (certificates.nats(&[]), certificates.etcd());
    let (plain_nats, plain_etcd) = (Nats::start(&[]), Etcd::start());
    let url = nats.url().replace("nats://", "tls://");
    type Change<'a> = &'a (dyn Fn(&mut Config) + Send + Sync);
    let nats_cases: [(&str, Change<'_>); 4] = [
        ("NATS", &|config| config.cluster.rpc.client.nats.tls.authorities = certificates.text("ca.pem")),
        ("NATS", &|config| {
            trust!(config.cluster.rpc.client.nats.tls, certificates);
            config.cluster.rpc.client.nats.tls.authorities = certificates.text("stranger.pem");
        }),
        ("NATS", &|config| {
            trust!(config.cluster.rpc.client.nats.tls, certificates);
            config.cluster.rpc.client.nats.tls.servername = "other.test".to_owned();
        }),
        ("pitaya.cluster.rpc.client.nats.tls.key: the file", &|config| {
            trust!(config.cluster.rpc.client.nats.tls, certificates);
            config.cluster.rpc.client.nats.tls.key = certificates.text("server.key");
        }),
    ];
    for (text, change) in nats_cases {
        let error = refused(builder("room", &url, &plain_etcd.endpoint()).configure(|config| change(config))).await;
        assert!(error.contains(text), "{text}: {error}");
    }
    let etcd_cases: [(&str, Change<'_>); 5] = [
        ("etcd", &|config| config.cluster.sd.etcd.tls.authorities = certificates.text("ca.pem")),
        ("etcd", &|config| {
            trust!(config.cluster.sd.etcd.tls, certificates);
            config.cluster.sd.etcd.tls.authorities = certificates.text("stranger.pem");
        }),
        ("etcd", &|config| {
            trust!(config.cluster.sd.etcd.tls, certificates);
            config.cluster.sd.etcd.tls.servername = "other.test".to_owned();
        }),
        ("pitaya.cluster.sd.etcd.tls.key: the file", &|config| {
            trust!(config.cluster.sd.etcd.tls, certificates);
            config.cluster.sd.etcd.tls.key = certificates.text("ca.pem");
        }),
        ("set `pitaya.cluster.sd.etcd.tls.authorities`", &|_| {}),
    ];
    let endpoint = format!("https://{}", etcd.endpoint());
    for (text, change) in etcd_cases {
        let one = builder("room", &plain_nats.url(), &plain_etcd.endpoint());
        let error = refused(one.configure(|config| {
            config.cluster.sd.etcd.endpoints = vec![endpoint.clone()];
            change(config);
        }));
        let error = error.await;
        assert!(error.contains(text), "{text}: {error}");
    }
}

/// A signed token as NATS reads it: made here, because the tool that makes them is not everywhere.
fn token(issuer: &KeyPair, subject: &str, name: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let body = json!({"jti": name, "iat": 1, "iss": issuer.public_key(), "sub": subject, "name": name, "nats": claims});
    let text = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&body));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(text.as_bytes()).expect("signed"));
    format!("{text}.{signature}")
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_logged_in_to_in_each_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let etcd = Etcd::start();
    let user = KeyPair::new_user();
    let seed = user.seed().expect("a seed");
    let seed_file = write(folder, "user.nk", &format!("# a comment\n{seed}\n"));
    let nkeys = format!("authorization {{ users = [ {{ nkey: {} }} ] }}\n", user.public_key());
    let nkeys = write(folder, "nkeys.conf", &nkeys);

    let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
    let unlimited = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1});
    let operator_token =
        token(&operator, &operator.public_key(), "operator", &json!({"type": "operator", "version": 2}));
    let account_claims = json!({"type": "account", "version": 2, "limits": unlimited});
    let account_token = token(&operator, &account.public_key(), "account", &account_claims);
    let user_claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    let user_token = token(&account, &user.public_key(), "user", &user_claims);
    let credentials = write(
        folder,
        "user.creds",
        &format!(
            "-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        ),
    );
    let jwt = format!(
        "operator: {operator_token}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_token} }}\n",
        account.public_key()
    );
    let jwt = write(folder, "jwt.conf", &jwt);
    let damaged = write(folder, "damaged.nk", "SUAOOPS\n");
    let empty = write(folder, "empty.creds", "");

    type Change = Box<dyn Fn(&mut Config)>;
    let auth = |change: fn(&mut pitaya_runtime::config::NatsAuth, &str), value: &str| -> Change {
        let value = value.to_owned();
        Box::new(move |config| change(&mut config.cluster.rpc.client.nats.auth, &value))
    };
    let password: fn(&mut pitaya_runtime::config::NatsAuth, &str) =
        |auth, word| (auth.user, auth.pass) = ("ann".to_owned(), Secret::new(word));
    let by_token: fn(&mut pitaya_runtime::config::NatsAuth, &str) = |auth, word| auth.token = Secret::new(word);
    let by_nkey: fn(&mut pitaya_runtime::config::NatsAuth, &str) = |auth, path| auth.nkey = path.to_owned();
    let by_file: fn(&mut pitaya_runtime::config::NatsAuth, &str) = |auth, path| auth.credentials = path.to_owned();
    let cases: [(&str, Vec<&str>, Change, Change, &str); 4] = [
        ("password", vec!["--user", "ann", "--pass", "w@rd"], auth(password, "w@rd"), auth(password, "other"), "NATS"),
        ("token", vec!["--auth", "t0ken"], auth(by_token, "t0ken"), auth(by_token, "other"), "NATS"),
        ("nkey", vec!["-c", &nkeys], auth(by_nkey, &seed_file), auth(by_nkey, &damaged), "has a seed that is damaged"),
        (
            "credentials",
            vec!["-c", &jwt],
            auth(by_file, &credentials),
            auth(by_file, &empty),
            "has no token below the line",
        ),
    ];
    for (name, flags, right, wrong, text) in cases {
        let nats = Nats::start(&flags);
        let with = |change: &Change| builder("room", &nats.url(), &etcd.endpoint()).configure(|config| change(config));
        let app = started(with(&right).handlers(Room)).await;
        app.shutdown().await;
        let error = refused(with(&wrong)).await;
        assert!(error.contains(text), "{name}: {error}");
        assert!(!error.contains("SUAOOPS") && !error.contains("other"), "{name}: {error}");
        let error = refused(builder("room", &nats.url(), &etcd.endpoint())).await;
        assert!(error.contains("NATS"), "{name} without a login: {error}");
    }
}
