//! The task of a client: one connection after the other, for as long as there are handles.

use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, Shared};
use crate::close::CloseReason;
use crate::connection::Connection;
use crate::error::ConnectError;
use crate::link::Core;
use crate::opening::{Opened, open};
use crate::options::ConnectOptions;
use crate::push::Streams;
use crate::reconnect::Reconnect;
use crate::route::Route;
use crate::state::ConnectionState;

/// How long a connection may take to write what is left, say goodbye, and see the server leave.
const LINGER: Duration = Duration::from_secs(5);

struct Supervisor {
    core: Arc<Core>,
    /// For the handle that the login is given. Holding more would keep the client alive without its user.
    shared: Weak<Shared>,
    /// Resolves when a handle closes, or when all are gone.
    closing: oneshot::Receiver<Infallible>,
    restore: Option<Restore>,
}

/// State needed to restore a connection.
struct Restore {
    route: Route,
    options: ConnectOptions,
    plan: Reconnect,
}

/// The time in which the connection was lost and not restored for long.
struct Outage {
    began: Instant,
    attempts: u32,
}

/// Starts the task and returns the first handle. Without a route a lost connection stays lost.
pub(crate) fn start(opened: Opened, options: &ConnectOptions, route: Option<Route>) -> Client {
    let (close, closing) = oneshot::channel();
    let (streams, late) = (Arc::new(Streams::new(options.push_capacity)), Arc::<AtomicU64>::default());
    let (link, connection) = Connection::new(opened, options, Arc::clone(&streams), Arc::clone(&late));
    let core = Arc::new(Core::new(link, streams, late));
    let shared =
        Arc::new(Shared { core: Arc::clone(&core), compress: options.compress, closing: Mutex::new(Some(close)) });
    let restore = route.zip(options.reconnect.clone());
    let restore = restore.map(|(route, plan)| Restore { route, options: options.clone(), plan });
    let supervisor = Supervisor { core, shared: Arc::downgrade(&shared), closing, restore };
    tokio::spawn(supervisor.run(connection));
    Client::new(shared, options.request_timeout)
}

impl Supervisor {
    async fn run(mut self, mut connection: Connection) {
        let mut outage = None;
        let reason = loop {
            let connected = Instant::now();
            let reason = connection.live(&mut self.closing).await;
            let Some(plan) = self.plan().filter(|plan| plan.restores(&reason)) else {
                connection.tell(&reason, false);
                break reason;
            };
            let now = Instant::now();
            if plan.is_stable(now - connected) {
                outage = None;
            }
            let outage = outage.get_or_insert(Outage { began: now, attempts: 0 });
            tracing::warn!(%reason, "connection lost");
            // First the state: whoever is told of the loss and looks finds it.
            self.reconnecting(outage.attempts + 1, &reason);
            connection.tell(&reason, true);
            drop(connection);
            match self.restore(&reason, outage).await {
                Ok(restored) => connection = restored,
                Err(reason) => return self.core.end(&reason),
            }
        };
        tracing::debug!(%reason, "connection closed");
        self.core.streams.close();
        if matches!(reason, CloseReason::Local) {
            // Whether the server leaves in time changes nothing any more.
            let _ = timeout(LINGER, connection.leave()).await;
        }
        drop(connection);
        self.core.end(&reason);
    }

    fn plan(&self) -> Option<&Reconnect> {
        self.restore.as_ref().map(|restore| &restore.plan)
    }

    fn reconnecting(&self, attempt: u32, lost: &CloseReason) {
        self.core.state.send_replace(ConnectionState::Reconnecting { attempt, lost: lost.clone() });
    }

    /// Attempts to connect until it succeeds, is refused, or has no attempt or time left.
    async fn restore(&mut self, lost: &CloseReason, outage: &mut Outage) -> Result<Connection, CloseReason> {
        let Self { core, shared, closing, restore } = self;
        let Some(restore) = restore else { return Err(lost.clone()) };
        // Without an end where the instants of this machine do not reach as far.
        let deadline = outage.began.checked_add(restore.plan.deadline);
        let left = || deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        loop {
            if outage.attempts > 0 && restore.plan.is_last(outage.attempts) || left().is_zero() {
                // A connection was restored in this outage, and lost again.
                return Err(lost.clone());
            }
            outage.attempts += 1;
            let attempt = outage.attempts;
            core.state.send_replace(ConnectionState::Reconnecting { attempt, lost: lost.clone() });
            tokio::select! {
                () = sleep(restore.plan.pause(attempt).min(left())) => {}
                _ = &mut *closing => return Err(CloseReason::Local),
            }
            let cut = restore.plan.deadline;
            let attempted = timeout(left(), restore.attempt(core, shared, closing)).await;
            let error = match attempted.unwrap_or(Err(ConnectError::Timeout(cut))) {
                Ok(connection) => {
                    tracing::info!(attempt, "connection restored");
                    return Ok(connection);
                }
                Err(error) => error,
            };
            tracing::debug!(attempt, %error, "connection not restored");
            let last = restore.plan.is_last(attempt) || left().is_zero();
            if last || !restore.plan.retries(&error) {
                return Err(CloseReason::not_restored(lost, attempt, error));
            }
        }
    }
}

impl Restore {
    /// Dials, shakes hands and logs in. Requests of all handles go to the connection from then on.
    async fn attempt(
        &mut self,
        core: &Core,
        shared: &Weak<Shared>,
        closing: &mut oneshot::Receiver<Infallible>,
    ) -> Result<Connection, ConnectError> {
        let opened = tokio::select! {
            opened = open(&mut self.route, &self.options) => opened?,
            _ = &mut *closing => return Err(CloseReason::Local.into()),
        };
        let (streams, late) = (Arc::clone(&core.streams), Arc::clone(&core.late));
        let (link, mut connection) = Connection::new(opened, &self.options, streams, late);
        // All handles are gone: `closing` says so as well, when it is looked at.
        let Some(shared) = shared.upgrade() else { return Err(CloseReason::Local.into()) };
        let client = Client::over(shared, Arc::clone(&link), self.options.request_timeout);
        tokio::select! {
            done = self.plan.log_in(client, self.options.connect_timeout) => done?,
            reason = connection.live(closing) => {
                connection.tell(&reason, self.plan.restores(&reason));
                return Err(reason.into());
            }
        }
        core.connected(link);
        Ok(connection)
    }
}

/// Ends the client where the task is dropped: by a runtime that shuts down, or by a panic, which the stream that an
/// application handed over may bring.
impl Drop for Supervisor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("client ended by a panic");
        }
        self.core.end(&CloseReason::Local);
    }
}
