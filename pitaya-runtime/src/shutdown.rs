//! When the system asks the process to end.

/// Ends at SIGINT, SIGTERM or SIGQUIT (elsewhere than on Unix: at ctrl-c).
pub async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let wait = |kind: SignalKind| async move {
            match signal(kind) {
                Ok(mut signals) => {
                    signals.recv().await;
                }
                Err(e) => {
                    tracing::warn!("cannot listen for signal {kind:?}: {e}");
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = wait(SignalKind::interrupt()) => {}
            () = wait(SignalKind::terminate()) => {}
            () = wait(SignalKind::quit()) => {}
        }
    }
    #[cfg(not(unix))]
    if let Err(e) = tokio::signal::ctrl_c().await {
        tracing::warn!("cannot listen for ctrl-c: {e}");
        std::future::pending::<()>().await;
    }
}
