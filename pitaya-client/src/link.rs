//! One connection as its handles see it, and what all connections of a client share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use pitaya_core::wire::HandshakeResponse;
use tokio::sync::{mpsc, watch};

use crate::close::CloseReason;
use crate::pending::Pending;
use crate::push::Streams;
use crate::state::ConnectionState;

/// One connection: its handshake decides how routes are written, so a packet encoded for it goes to no other.
pub(crate) struct Link {
    pub(crate) handshake: Arc<HandshakeResponse>,
    pub(crate) outgoing: mpsc::Sender<Vec<u8>>,
    pub(crate) pending: Arc<Pending>,
}

/// State of a client over all of its connections, shared by the handles and the task.
pub(crate) struct Core {
    link: Mutex<Arc<Link>>,
    pub(crate) streams: Arc<Streams>,
    /// Late answers of all connections.
    pub(crate) late: Arc<AtomicU64>,
    pub(crate) state: watch::Sender<ConnectionState>,
}

impl Core {
    pub(crate) fn new(link: Arc<Link>, streams: Arc<Streams>, late: Arc<AtomicU64>) -> Self {
        Self { link: Mutex::new(link), streams, late, state: watch::Sender::new(ConnectionState::Connected) }
    }

    /// The connection that requests go to: the last one that was established.
    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link.lock())
    }

    /// Sends all further requests to this connection.
    pub(crate) fn connected(&self, link: Arc<Link>) {
        *self.link.lock() = link;
        self.state.send_replace(ConnectionState::Connected);
    }

    /// Fails everything for good. The first reason stays.
    pub(crate) fn end(&self, reason: &CloseReason) {
        self.link().pending.close(reason, false);
        self.streams.close();
        self.state.send_if_modified(|state| {
            let open = !matches!(state, ConnectionState::Closed(_));
            if open {
                *state = ConnectionState::Closed(reason.clone());
            }
            open
        });
    }
}
