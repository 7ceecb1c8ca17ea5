//! What an app says of itself to those who run it.

use super::{App, Inner, StartError};
use crate::admin::{Answer, Listener, Table};
use crate::config::{Config, PreStop};
use crate::health::{Health, without_files};
use futures_util::FutureExt;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// What is served on the admin port, and where.
pub(crate) struct Admin {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What does not ask the app itself.
    pub(crate) table: Table,
    pub(crate) health: bool,
    pub(crate) deadline: Duration,
    pub(crate) pre_stop: PreStop,
}

/// The admin port, open.
pub(super) struct Open {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl From<&Config> for Admin {
    fn from(config: &Config) -> Self {
        let at = &config.metrics.prometheus;
        Self {
            host: at.host.clone(),
            port: at.port,
            table: Table::default(),
            health: config.health.enabled,
            deadline: config.health.deadline,
            pre_stop: config.health.prestop.clone(),
        }
    }
}

impl App {
    /// Whether new clients may be sent here: it runs and does not drain, its acceptors let clients in, and a clustered one
    /// is connected to its discovery and its transport. It asks nobody: it tells what is known.
    ///
    /// The same is served as `/readyz` where `pitaya.health.enabled` says so.
    ///
    /// ```
    /// # use pitaya_runtime::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let app = Builder::new("chat").acceptor(Tcp::bind("127.0.0.1:0")).build()?;
    /// assert_eq!(app.health().problem("app"), Some("not running yet"));
    /// app.start().await?;
    /// assert!(app.health().is_ready());
    /// # app.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        let Inner { server, admission, .. } = &*self.0;
        let cluster = &server.cluster;
        let known = |works: bool, why: &str| (!works).then(|| why.to_owned());
        let full = || known(!admission.is_full(), "as many connections as pitaya.limits.connections.total allows");
        Health::new([
            ("app", self.problem().map(str::to_owned)),
            ("acceptors", without_files(&server.reserve).or_else(full)),
            (
                "discovery",
                known(cluster.discovery.is_connected(), "its service does not answer: servers are those last seen"),
            ),
            ("transport", known(cluster.transport.is_connected(), "no connection to other servers")),
        ])
    }

    /// Why it takes no part in anything new.
    fn problem(&self) -> Option<&'static str> {
        let Inner { stopped, stop, leaving, running, .. } = &*self.0;
        if stopped.is_cancelled() {
            Some("stopped")
        } else if stop.is_cancelled() {
            Some("stopping")
        } else if leaving.load(SeqCst) {
            Some("draining")
        } else if running.load(SeqCst) {
            None
        } else {
            Some("not running yet")
        }
    }

    /// Where metrics and health are served, while they are. `None` when neither is enabled.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.0.admin.lock().as_ref().map(|open| open.address)
    }

    /// Opens the admin port, if anything is to be served there. First of all, so that whoever waits for the start can see
    /// how it goes; it closes last.
    pub(super) async fn open_admin(&self, admin: Admin) -> Result<(), StartError> {
        let Admin { host, port, mut table, health, deadline, pre_stop } = admin;
        if health {
            for path in ["/livez", "/healthz"] {
                table.look(path, || Answer::text("200 OK", "ok\n"));
            }
            let app = self.clone();
            table.look("/readyz", move || {
                let health = app.health();
                Answer::text(if health.is_ready() { "200 OK" } else { "503 Service Unavailable" }, health.to_string())
            });
        }
        if pre_stop.enabled {
            self.serve_pre_stop(&mut table, pre_stop.delay);
        }
        if table.is_empty() {
            return Ok(());
        }
        let failed = |source| StartError::Admin { address: format!("{host}:{port}"), source };
        let listener = Listener::bind(&host, port, deadline, self.0.server.reserve.clone()).await.map_err(failed)?;
        let address = listener.address().map_err(failed)?;
        tracing::info!("answering {table} on http://{address}");
        let task = AbortOnDropHandle::new(tokio::spawn(listener.run(table)));
        *self.0.admin.lock() = Some(Open { address, _task: task });
        Ok(())
    }

    fn serve_pre_stop(&self, table: &mut Table, delay: Duration) {
        let (app, once) = (self.clone(), OnceLock::new());
        table.act("/pre-stop", move || {
            let begin = || {
                app.0.leaving.store(true, SeqCst);
                let app = app.clone();
                let drain = async move {
                    let _ = app.0.stop.run_until_cancelled(sleep(delay)).await;
                    app.drain().await
                };
                // A task of its own: what has begun goes on, whether or not somebody waits for it.
                tokio::spawn(drain).map(|left| left.ok()).shared()
            };
            let drain = once.get_or_init(begin).clone();
            Box::pin(async move {
                match drain.await {
                    Some(left) => Answer::text("200 OK", format!("drained: {left} sessions left\n")),
                    None => Answer::text("500 Internal Server Error", "the drain failed\n"),
                }
            })
        });
    }
}
