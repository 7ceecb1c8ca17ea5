//! The option to reconnect: how long, how often, after which ends, and what is done first.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_websockets::upgrade;

use crate::client::Client;
use crate::close::CloseReason;
use crate::error::{BoxError, ConnectError, RequestError};

type LoginFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// Restores a lost connection; see [`ConnectOptions::reconnect`](crate::ConnectOptions::reconnect).
///
/// After a loss (the server closes or dies, the network fails, heartbeats stop) the client connects again and again, with
/// a pause before each attempt that doubles and is random, so that the clients of a restarted server do not all come
/// back in the same moment. What happens to requests:
///
/// * Those in flight fail at the loss with [`RequestError::Lost`]. They may have run, and are never sent again here: only
///   the application knows which of them may run twice.
/// * Those made before the connection is restored fail at once with [`RequestError::NotConnected`], and have not run.
///   [`Client::connected`] waits for the connection.
/// * Push streams go on. Pushes sent in between are lost.
///
/// A server that does not want this client is not asked again: a kick, a refused handshake, a refused login or an upgrade
/// answered 401 or 403 ends the client, unless [`retry_kicks`](Self::retry_kicks) or
/// [`retry_refusals`](Self::retry_refusals) says otherwise. So does a server that breaks the protocol.
///
/// ```no_run
/// use pitaya_client::{Client, ConnectionState, Reconnect, RequestError};
/// use serde_json::{Value, json};
///
/// # async fn play(token: String) -> Result<(), Box<dyn std::error::Error>> {
/// // Runs after each handshake, the first one too: a new connection is a new session, which nobody is logged in to.
/// let login = move |client: Client| {
///     let token = token.clone();
///     async move { client.request_json::<Value>("game.login.enter", &json!({ "token": token })).await.map(drop) }
/// };
/// let client = Client::options()
///     .reconnect(Reconnect::default().attempts(20).login(login))
///     .connect("tcp://127.0.0.1:3250")
///     .await?;
///
/// let mut states = client.states();
/// tokio::spawn(async move {
///     while let Some(state) = states.next().await {
///         match state {
///             ConnectionState::Connected => println!("back again"),
///             ConnectionState::Reconnecting { attempt, lost } => println!("{lost}; attempt {attempt}"),
///             ConnectionState::Closed(reason) => println!("the end: {reason}"),
///             _ => {}
///         }
///     }
/// });
///
/// // This one may run twice, so it is sent again.
/// let look = loop {
///     match client.request_json::<Value>("game.room.look", &json!({})).await {
///         Err(RequestError::Lost(_) | RequestError::NotConnected(_)) => client.connected().await?,
///         answer => break answer?,
///     }
/// };
/// # let _ = look;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Reconnect {
    first: Duration,
    longest: Duration,
    attempts: Option<u32>,
    pub(crate) deadline: Duration,
    kicks: bool,
    refusals: bool,
    login: Option<Arc<dyn Fn(Client) -> LoginFuture + Send + Sync>>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
            attempts: None,
            deadline: Duration::from_secs(5 * 60),
            kicks: false,
            refusals: false,
            login: None,
        }
    }
}

impl Reconnect {
    /// Upper bounds of the pause before an attempt: before the first one, 500 ms by default, and of all, 15 seconds by
    /// default. In between it doubles with each attempt. The pause itself is random, from nothing up to its bound.
    ///
    /// A connection that is lost again sooner than the longest pause belongs to the same outage: attempts and deadline
    /// are counted on, so that a server which accepts and closes at once is not hammered.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first.min(longest), longest);
        self
    }

    /// Number of attempts after a loss, at least 1; without a limit by default.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// How long after a loss attempts are made; 5 minutes by default, for ever with `Duration::MAX`. An attempt that is
    /// under way then is given up.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether to come back after a kick; off by default, because a kick says that the server does not want that.
    pub fn retry_kicks(mut self, on: bool) -> Self {
        self.kicks = on;
        self
    }

    /// Whether to go on after a refused handshake, a refused login or an upgrade answered 401 or 403; off by default.
    pub fn retry_refusals(mut self, on: bool) -> Self {
        self.refusals = on;
        self
    }

    /// Runs after each handshake, that of the first [`connect`](crate::ConnectOptions::connect) included, and before any
    /// other request is sent. It must be done within the [connect timeout](crate::ConnectOptions::connect_timeout).
    ///
    /// The client it is given talks over the new connection. An error of it that came with a lost connection or a time-out
    /// makes the attempt fail; every other is a refusal. A panic of it is caught, logged, and final:
    /// [`ConnectError::LoginPanicked`].
    pub fn login<F, Fut, E>(mut self, login: F) -> Self
    where
        F: Fn(Client) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.login = Some(Arc::new(move |client| {
            let login = login(client);
            Box::pin(async move { login.await.map_err(Into::into) })
        }));
        self
    }

    /// The login over this client's connection, if there is one.
    pub(crate) async fn log_in(&self, client: Client, within: Duration) -> Result<(), ConnectError> {
        let Some(login) = &self.login else { return Ok(()) };
        // The closure may panic before there is a future, too. Nothing of this client is changed by either.
        let caught = AssertUnwindSafe(async { login(client).await }).catch_unwind();
        let done = tokio::time::timeout(within, caught).await.map_err(|_| ConnectError::Timeout(within))?;
        done.map_err(|panic| {
            let panic = text_of(&*panic);
            tracing::error!(panic, "login panicked");
            ConnectError::LoginPanicked(panic.to_owned())
        })?
        .map_err(ConnectError::Login)
    }

    /// The pause before an attempt, by its number from 1.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        // 2^20 times the first pause is beyond any use; more would overflow.
        let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(fastrand::f64())
    }

    /// Whether a connection that lived for so long ended an outage.
    pub(crate) fn is_stable(&self, lived: Duration) -> bool {
        lived >= self.longest
    }

    pub(crate) fn is_last(&self, attempt: u32) -> bool {
        self.attempts.is_some_and(|attempts| attempt >= attempts)
    }

    /// Whether a connection that ended so is restored.
    pub(crate) fn restores(&self, reason: &CloseReason) -> bool {
        match reason {
            CloseReason::ServerClosed | CloseReason::HeartbeatTimeout | CloseReason::Io(_) => true,
            CloseReason::Kicked { .. } => self.kicks,
            CloseReason::Protocol(_) | CloseReason::Local | CloseReason::NotRestored { .. } => false,
        }
    }

    /// Whether there is another attempt after one that failed so.
    pub(crate) fn retries(&self, error: &ConnectError) -> bool {
        match error {
            // TLS too: a certificate may be replaced at this very moment.
            ConnectError::Io(_) | ConnectError::Timeout(_) | ConnectError::Tls(_) => true,
            ConnectError::WebSocket(error) => self.refusals || !is_refused_upgrade(error),
            ConnectError::Closed(reason) => self.restores(reason),
            ConnectError::Refused { .. } => self.refusals,
            ConnectError::Login(error) => match error.downcast_ref::<RequestError>() {
                Some(RequestError::Timeout(_) | RequestError::Lost(_) | RequestError::NotConnected(_)) => true,
                Some(RequestError::Closed(reason)) => self.restores(reason),
                _ => self.refusals,
            },
            // The same would happen again.
            ConnectError::Address { .. }
            | ConnectError::Encode(_)
            | ConnectError::Handshake(_)
            | ConnectError::LoginPanicked(_)
            | ConnectError::NotDialled => false,
        }
    }
}

/// The text of a panic, if it has one.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

/// Whether the upgrade was answered 401 or 403. Proxies answer 404 or 5xx while the server behind them is restarted.
fn is_refused_upgrade(error: &BoxError) -> bool {
    matches!(
        error.downcast_ref(),
        Some(tokio_websockets::Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(401 | 403)))
    )
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("backoff", &(self.first, self.longest))
            .field("attempts", &self.attempts)
            .field("deadline", &self.deadline)
            .field("retry_kicks", &self.kicks)
            .field("retry_refusals", &self.refusals)
            .field("login", &self.login.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_random_below_a_bound_that_doubles() {
        let plan = Reconnect::default().backoff(Duration::from_millis(100), Duration::from_secs(1));
        for (attempt, bound) in [(1, 100), (2, 200), (4, 800), (5, 1000), (40, 1000), (u32::MAX, 1000)] {
            let pauses: Vec<_> = (0..100).map(|_| plan.pause(attempt)).collect();
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(bound)), "{attempt}: {pauses:?}");
            // 100 random pauses that are all in the lower half: once in 2^100.
            assert!(pauses.iter().any(|pause| *pause > Duration::from_millis(bound / 2)), "{attempt}: {pauses:?}");
        }
        assert_eq!(Reconnect::default().backoff(Duration::MAX, Duration::ZERO).pause(3), Duration::ZERO);
    }

    #[test]
    fn what_a_server_does_not_want_is_not_tried_again() {
        let plan = Reconnect::default();
        let refused = || ConnectError::Refused { code: 400, reason: None };
        let login = |error: RequestError| ConnectError::Login(error.into());
        let kicked = || CloseReason::Kicked { reason: None };
        let server = || RequestError::Server(crate::Error::new("GAME-1", "no"));
        let upgrade = |status| {
            ConnectError::WebSocket(tokio_websockets::Error::from(upgrade::Error::DidNotSwitchProtocols(status)).into())
        };
        for error in [refused(), login(server()), upgrade(401), upgrade(403), ConnectError::Login("no".into())] {
            assert!(!plan.retries(&error) && plan.clone().retry_refusals(true).retries(&error), "{error:?}");
        }
        for error in [kicked().into(), login(kicked().into())] {
            assert!(!plan.retries(&error) && plan.clone().retry_kicks(true).retries(&error), "{error:?}");
        }
        for error in [
            CloseReason::ServerClosed.into(),
            ConnectError::Timeout(Duration::ZERO),
            login(RequestError::Timeout(Duration::ZERO)),
            login(RequestError::Lost(CloseReason::ServerClosed)),
            upgrade(404),
            upgrade(503),
        ] {
            assert!(plan.retries(&error), "{error:?}");
        }
        let all = plan.retry_kicks(true).retry_refusals(true);
        assert!(!all.retries(&CloseReason::Local.into()) && !all.restores(&CloseReason::Local));
    }
}
