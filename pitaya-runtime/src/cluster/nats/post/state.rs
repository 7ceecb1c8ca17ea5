//! What waits, and in which bundles.

use super::parcel::{Parcel, Tracked};
use super::{BUNDLE, OVERHEAD, STAMP};
use crate::cluster::nats::flight::{Flight, Lane};
use crate::cluster::nats::outcome::Refusal;
use async_nats::Subject;
use async_nats::message::OutboundMessage;
use bytes::{Bytes, BytesMut};
use pitaya_core::cluster::lane;
use pitaya_core::cluster::seal::Purpose;
use std::collections::VecDeque;

/// Whose bundle it is: a lane's there, the calls' there, or one of the ways back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    There(u32),
    Calls(u32),
    Back(u64),
}

pub(super) struct Open {
    pub(super) to: For,
    pub(super) subject: Subject,
    pub(super) reply: Option<Subject>,
    pub(super) tracked: Tracked,
    pub(super) purpose: Option<Purpose>,
    pub(super) bundle: Vec<u8>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) closed: bool,
    pub(super) held: bool,
    /// Of all that is in `ready` and `open`, and what the task has taken out of them and not yet handed on.
    pub(super) bytes: usize,
    pub(super) ready: VecDeque<Parcel>,
    pub(super) open: Vec<Open>,
    pub(super) flights: Vec<Flight>,
    /// Calls that travel alone lie in it one behind the other: one allocation for many.
    pub(super) block: BytesMut,
    /// How large the last bundle became: the next may become as large.
    pub(super) usual: usize,
}

impl State {
    pub(super) fn admit(&mut self, cost: usize, most: usize) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.bytes + cost > most {
            return Err(Refusal::Full);
        }
        self.bytes += cost;
        Ok(())
    }

    pub(super) fn open_request(&mut self, lane: &Lane, number: u64, stamp: u64) {
        let mut bundle = Vec::with_capacity(self.usual);
        lane::open(stamp, &mut bundle);
        self.bytes += OVERHEAD + STAMP;
        self.open.push(Open {
            to: For::There(lane.index),
            subject: lane.subject.clone(),
            reply: Some(lane.reply(&number)),
            tracked: Tracked::Bundle(lane.index, number),
            purpose: Some(Purpose::Request),
            bundle,
        });
    }

    pub(super) fn close(&mut self, place: usize) {
        let open = self.open.swap_remove(place);
        self.finish(open);
    }

    pub(super) fn finish(&mut self, open: Open) {
        // An eighth more than the last, and never more than what fits an allocation worth keeping.
        self.usual = (open.bundle.len() + open.bundle.len() / 8).clamp(256, BUNDLE + BUNDLE / 8);
        let (subject, reply, payload) = (open.subject, open.reply, Bytes::from(open.bundle));
        self.ready.push_back(Parcel {
            message: OutboundMessage { subject, reply, payload, headers: None },
            tracked: open.tracked,
            purpose: open.purpose,
        });
    }
}
