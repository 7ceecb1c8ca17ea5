//! Servers that reach each other in one way or another.

use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::time::Duration;

/// No test waits longer for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// A way that servers reach each other, and what it needs.
pub struct World {
    cluster: LocalCluster,
}

impl World {
    /// All servers in this process.
    pub fn local() -> Self {
        Self { cluster: LocalCluster::default() }
    }

    /// A builder for one more server of this world.
    pub fn builder(&self, kind: &str, id: &str) -> Builder {
        Builder::new(kind).server_id(id).local_cluster(&self.cluster)
    }

    /// Starts a server that clients connect to.
    pub async fn frontend(&self, kind: &str, id: &str, with: impl FnOnce(Builder) -> Builder) -> App {
        self.start(with(self.builder(kind, id)).acceptor(Tcp::bind("127.0.0.1:0"))).await
    }

    /// Starts a server that only other servers reach.
    pub async fn backend(&self, kind: &str, id: &str, with: impl FnOnce(Builder) -> Builder) -> App {
        self.start(with(self.builder(kind, id))).await
    }

    async fn start(&self, builder: Builder) -> App {
        let app = builder.build().expect("a valid app");
        app.start().await.expect("it starts");
        app
    }
}

/// Waits until each of these sees so many servers.
pub async fn meet(apps: &[&App]) {
    for app in apps {
        eventually("they see each other", || app.servers().all().len() >= apps.len()).await;
    }
}

pub async fn connect(app: &App) -> Client {
    Client::connect(&format!("tcp://{}", app.addresses()[0])).await.expect("the app accepts")
}

/// Waits until `done`, looking often; for states that announce themselves nowhere.
pub async fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !done() {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
