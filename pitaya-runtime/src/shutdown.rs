//! When the system asks the process to end.

/// Listens for SIGINT, SIGTERM and SIGQUIT (elsewhere than on Unix: for ctrl-c); what it returns ends at the first one.
///
/// It listens from this call on, not only once it is awaited: call it before others are told that the server is ready,
/// or a signal that comes at once kills the process. [`App::stop_on_signal`](crate::App::stop_on_signal) is this and all
/// that should follow.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn signal() -> impl Future<Output = ()> + Send {
    let mut signals = Signals::listen();
    async move {
        signals.next().await;
    }
}

/// How the system asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Somebody at the keyboard, who is waiting.
    Interrupt,
    /// A service manager, which has time.
    Terminate,
    Quit,
}

/// Signals, from the call of [`listen`](Self::listen) on.
#[cfg(unix)]
pub(crate) struct Signals([(Signal, Option<tokio::signal::unix::Signal>); 3]);

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| signal(kind).inspect_err(|e| tracing::warn!("cannot listen for signal {kind:?}: {e}")).ok();
        Self([
            (Signal::Interrupt, listen(SignalKind::interrupt())),
            (Signal::Terminate, listen(SignalKind::terminate())),
            (Signal::Quit, listen(SignalKind::quit())),
        ])
    }

    pub(crate) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            let came = self.0.iter_mut().find_map(|(kind, signal)| {
                let came = signal.as_mut().is_some_and(|signal| signal.poll_recv(cx).is_ready());
                came.then_some(*kind)
            });
            came.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// Ctrl-c, once it is waited for.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Self {
        Self
    }

    pub(crate) async fn next(&mut self) -> Signal {
        if let Err(e) = tokio::signal::ctrl_c().await {
            tracing::warn!("cannot listen for ctrl-c: {e}");
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
