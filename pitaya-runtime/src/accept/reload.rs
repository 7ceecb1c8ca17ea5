//! Files that change while the app runs: certificates are renewed, and nobody is sent away for it.

use super::{BoxError, Listen};
use crate::counters::{Counters, count};
use parking_lot::Mutex;
use pitaya_core::cluster::Transport;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// One line in this time about files that cannot be read again.
const QUIET: Duration = Duration::from_secs(60);

/// What an acceptor has loaded from files. See [`Acceptor::files`](super::Acceptor::files).
pub trait Reload: Send + Sync + 'static {
    /// Looks at the files, and reads them if they have changed or `always`. What was read is in force for connections that
    /// come from then on; those that are there notice nothing. Returns whether it was read. May block.
    ///
    /// # Errors
    /// When the files cannot be used: what was in force before stays so, and the next look tries again.
    fn reload(&self, always: bool) -> Result<bool, BoxError>;
}

/// Why files were not taken: see [`App::reload`](crate::App::reload).
pub struct ReloadError {
    /// The acceptors whose files are wrong, as `protocol://address`, or the transport, and what is wrong.
    pub failed: Vec<(String, BoxError)>,
}

crate::readable::debug_as_display!(ReloadError);

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not reloaded: ")?;
        for (at, (acceptor, cause)) in self.failed.iter().enumerate() {
            let between = if at > 0 { "; " } else { "" };
            write!(f, "{between}{acceptor}: {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ReloadError {}

/// The files of what calls between servers go by.
struct TransportFiles(Arc<dyn Transport>);

impl Reload for TransportFiles {
    fn reload(&self, always: bool) -> Result<bool, BoxError> {
        self.0.reload(always).map_err(|error| error.message().into())
    }
}

/// The files of all acceptors of an app, and of its transport.
pub(crate) struct Reloads {
    watched: Vec<(String, Arc<dyn Reload>)>,
    /// Time between two looks; none without end.
    every: Option<Duration>,
    hangup: Mutex<Option<Hangup>>,
}

impl Reloads {
    pub(crate) fn new(acceptors: &[Box<dyn Listen>], transport: &Arc<dyn Transport>, every: Duration) -> Self {
        let acceptors = acceptors.iter().filter_map(|acceptor| Some((acceptor.name(), acceptor.files()?)));
        let mut watched: Vec<(String, Arc<dyn Reload>)> = acceptors.collect();
        if transport.has_files() {
            let files = Arc::new(TransportFiles(transport.clone()));
            watched.push(("the transport between servers".to_owned(), files));
        }
        Self { watched, every: (!every.is_zero()).then_some(every), hangup: Mutex::default() }
    }

    /// Looks at all of them. Those that can be used are in force when this returns, whatever is wrong with others.
    pub(crate) async fn look(&self, always: bool, counters: &Counters) -> Result<(), ReloadError> {
        let mut failed = Vec::new();
        for (acceptor, files) in &self.watched {
            let files = files.clone();
            // A network drive may take its time.
            let outcome = spawn_blocking(move || files.reload(always)).await.unwrap_or_else(|e| Err(e.into()));
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    count(&counters.reloads);
                    tracing::info!(acceptor, "its files were read again");
                }
                Err(cause) => {
                    count(&counters.failed_reloads);
                    failed.push((acceptor.clone(), cause));
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(ReloadError { failed }) }
    }

    /// Listens for SIGHUP from now on, if there is anything to read again. Otherwise it keeps its meaning: a terminal that
    /// was closed.
    pub(crate) fn listen(&self) {
        if !self.watched.is_empty() {
            *self.hangup.lock() = Some(Hangup::listen());
        }
    }

    /// Looks from time to time, and when the process gets SIGHUP, without end.
    pub(crate) async fn watch(&self, counters: &Counters) {
        let Some(mut hangup) = self.hangup.lock().take() else { return };
        let mut complained = None::<Instant>;
        loop {
            let always = tokio::select! {
                () = pause(self.every) => false,
                () = hangup.heard() => true,
            };
            let looked = self.look(always, counters).await;
            let quiet = !always && complained.is_some_and(|at| at.elapsed() < QUIET);
            match looked {
                Ok(()) => complained = None,
                Err(_) if quiet => {}
                Err(error) => {
                    complained = Some(Instant::now());
                    tracing::error!("{error}; what was loaded before stays in force");
                }
            }
        }
    }
}

async fn pause(every: Option<Duration>) {
    match every {
        Some(every) => tokio::time::sleep(every).await,
        None => std::future::pending().await,
    }
}

/// SIGHUP: by custom, a daemon reads its files again.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    #[cfg(unix)]
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { signal: signal(SignalKind::hangup()).inspect_err(|e| tracing::warn!("cannot hear SIGHUP: {e}")).ok() }
    }

    #[cfg(not(unix))]
    fn listen() -> Self {
        Self {}
    }

    async fn heard(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
