//! When the system asks the process to end.

/// Listens for SIGINT, SIGTERM and SIGQUIT (elsewhere than on Unix: for ctrl-c); what it returns ends at the first one.
///
/// It listens from this call on, not only once it is awaited: call it before others are told that the server is ready,
/// or a signal that comes at once kills the process.
///
/// # Panics
/// Outside of a tokio runtime.
#[cfg(unix)]
pub fn signal() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};

    let listen = |kind| signal(kind).inspect_err(|e| tracing::warn!("cannot listen for signal {kind:?}: {e}")).ok();
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()].map(listen);
    std::future::poll_fn(move |cx| {
        let came = signals.iter_mut().flatten().any(|signal| signal.poll_recv(cx).is_ready());
        if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
}

/// Listens for ctrl-c; what it returns ends at the first one.
#[cfg(not(unix))]
pub async fn signal() {
    if let Err(e) = tokio::signal::ctrl_c().await {
        tracing::warn!("cannot listen for ctrl-c: {e}");
        std::future::pending::<()>().await;
    }
}
