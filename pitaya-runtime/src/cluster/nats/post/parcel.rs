//! One message of the broker on its way to the library, and what depends on it.

use super::OVERHEAD;
use crate::cluster::nats::calls::Key;
use crate::cluster::nats::flight::Lane;
use async_nats::Subject;
use async_nats::message::OutboundMessage;
use bytes::Bytes;
use std::sync::Arc;

/// What depends on whether a message is sent.
#[derive(Debug)]
pub(in super::super) enum Tracked {
    /// Nothing.
    No,
    /// Nothing any more: it must not go.
    Gone,
    /// Somebody waits for its answer.
    Call(Key),
    /// A bundle of this lane.
    Bundle(u32, u64),
    /// Calls for this server.
    Calls(Arc<Lane>, Vec<Key>),
}

/// One message of the broker on its way to the library.
pub(in super::super) struct Parcel {
    pub(super) message: OutboundMessage,
    pub(super) tracked: Tracked,
}

impl Parcel {
    /// What nobody answers.
    pub(in super::super) fn answer(subject: Subject, payload: Bytes) -> Self {
        let message = OutboundMessage { subject, reply: None, payload, headers: None };
        Self { message, tracked: Tracked::No }
    }

    pub(super) fn cost(&self) -> usize {
        self.message.payload.len() + OVERHEAD
    }
}
