//! One message of the broker on its way to the library, and what depends on it.

use super::OVERHEAD;
use crate::cluster::nats::calls::Key;
use crate::cluster::nats::flight::Lane;
use crate::cluster::nats::hub::Reply;
use async_nats::message::OutboundMessage;
use bytes::Bytes;
use pitaya_core::cluster::seal::Purpose;
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
    pub(in super::super) message: OutboundMessage,
    pub(in super::super) tracked: Tracked,
    /// Purpose that it is signed for, where this server signs; `None` for messages to peers that do not.
    pub(in super::super) purpose: Option<Purpose>,
}

impl Parcel {
    /// What nobody answers.
    pub(in super::super) fn answer(to: Reply, payload: Bytes) -> Self {
        let message = OutboundMessage { subject: to.to, reply: None, payload, headers: None };
        Self { message, tracked: Tracked::No, purpose: to.signed.then_some(Purpose::Answer) }
    }

    pub(super) fn cost(&self) -> usize {
        self.message.payload.len() + OVERHEAD
    }
}
