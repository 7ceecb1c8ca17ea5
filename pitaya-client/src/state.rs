//! Whether a client is connected, to be read and to be waited for.

use tokio::sync::watch;

use crate::close::CloseReason;

/// State of a client's connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Requests are sent.
    Connected,
    /// The connection was lost and is being restored, as the option [`Reconnect`](crate::Reconnect) asks for. Requests
    /// fail with [`RequestError::NotConnected`](crate::RequestError::NotConnected) until then.
    Reconnecting {
        /// Number of the attempt that is under way or is waited for, from 1.
        attempt: u32,
        /// How the connection was lost.
        lost: CloseReason,
    },
    /// The client has ended, and nothing restores it.
    Closed(CloseReason),
}

/// Changes of a client's [`ConnectionState`].
///
/// It holds the newest state only: a reader that is slower than the changes misses those in between, and never the last.
/// It does not keep the connection alive.
#[derive(Debug)]
pub struct StateChanges {
    states: watch::Receiver<ConnectionState>,
    ended: bool,
}

impl StateChanges {
    pub(crate) fn new(states: watch::Receiver<ConnectionState>) -> Self {
        Self { states, ended: false }
    }

    /// Waits for the next change; `None` after [`ConnectionState::Closed`], which is the last. May be cancelled without
    /// loss.
    pub async fn next(&mut self) -> Option<ConnectionState> {
        if self.ended {
            return None;
        }
        // The sender lives as long as a handle or the task does; without both nothing changes any more.
        self.states.changed().await.ok()?;
        let state = self.states.borrow_and_update().clone();
        self.ended = matches!(state, ConnectionState::Closed(_));
        Some(state)
    }
}
