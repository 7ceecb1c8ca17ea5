//! An app with certificates in files, and how its clients reach it.

use pitaya_client::{Client, ConnectError};
use pitaya_runtime::prelude::*;
use pitaya_tests::certificates::Pair;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// No test waits longer for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

pub struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    /// The fingerprint of the client's certificate.
    pub fn who(&self, session: &Session) -> String {
        session.certificate().map_or("nobody".to_owned(), |certificate| format!("{certificate:?}"))
    }
}

/// A pair of certificate and key, and the folder with their files.
pub struct Files {
    pub folder: TempDir,
    pub pair: Pair,
}

impl Files {
    pub fn new() -> Self {
        let (folder, pair) = (tempfile::tempdir().expect("a directory"), Pair::localhost());
        pair.write(folder.path());
        Self { folder, pair }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn certificate(&self) -> PathBuf {
        self.path().join("server.crt")
    }

    pub fn key(&self) -> PathBuf {
        self.path().join("server.key")
    }

    pub fn tls(&self) -> pitaya_runtime::accept::Tls<Tcp> {
        Tcp::bind("127.0.0.1:0").tls(self.certificate(), self.key())
    }

    /// Other certificates in the same files; what was there before.
    pub fn renew(&mut self) -> Pair {
        let new = Pair::localhost();
        new.write(self.path());
        std::mem::replace(&mut self.pair, new)
    }
}

pub async fn start(builder: Builder) -> App {
    let app = builder.handlers(Room).build().expect("a valid app");
    app.start().await.expect("free ports");
    app
}

/// Connects to the acceptor in this place as somebody who trusts this certificate only.
pub async fn dial(app: &App, place: usize, scheme: &str, trusted: &Pair) -> Result<Client, ConnectError> {
    let address = format!("{scheme}://localhost:{}", app.addresses()[place].port());
    Client::options().root_certificate(trusted.certificate.clone()).connect(&address).await
}

/// Waits until `done`, looking often; for states that announce themselves nowhere.
pub async fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !done() {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
