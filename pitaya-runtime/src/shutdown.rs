//! When the system asks the process to end.

use std::time::{Duration, Instant};

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

/// Time within which signals of one kind count as one. Programs as `timeout` signal their child and then its whole group:
/// the same request arrives twice, a millisecond apart.
const SAME: Duration = Duration::from_secs(1);

/// When a signal of one kind was last counted.
#[derive(Default)]
struct Counted(Option<Instant>);

impl Counted {
    /// Whether a signal that came now is another request, and not the last one again.
    fn is_new(&mut self, now: Instant) -> bool {
        let new = self.0.is_none_or(|last| now.saturating_duration_since(last) >= SAME);
        if new {
            self.0 = Some(now);
        }
        new
    }
}

/// Signals, from the call of [`listen`](Self::listen) on.
#[cfg(unix)]
pub(crate) struct Signals([(Signal, Option<tokio::signal::unix::Signal>, Counted); 3]);

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| signal(kind).inspect_err(|e| tracing::warn!("cannot listen for signal {kind:?}: {e}")).ok();
        Self([
            (Signal::Interrupt, listen(SignalKind::interrupt()), Counted::default()),
            (Signal::Terminate, listen(SignalKind::terminate()), Counted::default()),
            (Signal::Quit, listen(SignalKind::quit()), Counted::default()),
        ])
    }

    /// Like [`listen`](Self::listen), where something else has asked just now, and that may have been a signal as well.
    pub(crate) fn listen_further() -> Self {
        let mut signals = Self::listen();
        for (.., counted) in &mut signals.0 {
            counted.is_new(Instant::now());
        }
        signals
    }

    pub(crate) async fn next(&mut self) -> Signal {
        use std::task::Poll;

        std::future::poll_fn(|cx| {
            let came = self.0.iter_mut().find_map(|(kind, signal, counted)| {
                let signal = signal.as_mut()?;
                // Again after one that does not count, or nothing would wake this task.
                while let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                    if counted.is_new(Instant::now()) {
                        return Some(*kind);
                    }
                }
                None
            });
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Ctrl-c, once it is waited for.
#[cfg(not(unix))]
pub(crate) struct Signals(Counted);

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Self {
        Self(Counted::default())
    }

    /// Like [`listen`](Self::listen), where something else has asked just now, and that may have been ctrl-c as well.
    pub(crate) fn listen_further() -> Self {
        Self(Counted(Some(Instant::now())))
    }

    pub(crate) async fn next(&mut self) -> Signal {
        loop {
            if let Err(e) = tokio::signal::ctrl_c().await {
                tracing::warn!("cannot listen for ctrl-c: {e}");
                std::future::pending::<()>().await;
            }
            if self.0.is_new(Instant::now()) {
                return Signal::Interrupt;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_one_kind_within_a_second_count_once() {
        let (mut counted, first) = (Counted::default(), Instant::now());
        assert!(counted.is_new(first));
        for later in [0, 1, 999] {
            assert!(!counted.is_new(first + Duration::from_millis(later)), "{later}");
        }
        // Counted from the first: one that comes all the time counts every second.
        assert!(counted.is_new(first + SAME));
        assert!(!counted.is_new(first + SAME));
    }
}
