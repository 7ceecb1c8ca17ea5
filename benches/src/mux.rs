//! The least a call over NATS can cost, without its sockets: one subject to ask at, one inbox for all answers, and a slot
//! number where a client library would keep a map. The bytes are as many as the project's: `specs` of the cluster's
//! protocol name them, `pitaya.proto` of Go Pitaya gives their form.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::body::BODY;
use crate::tally::Tally;

/// Where the responder listens: a server's subject, as long as a real one.
pub const SUBJECT: &str = "pitaya/servers/room/7c1f0a3e-5d52-4d0c-9d55-3a8f2b6f9a10";
/// Bytes of an answer: a `Response` with the body and the number of its request.
pub const ANSWER: usize = 2 + BODY + 10;
/// The answer ends where the body does.
const AFTER_BODY: usize = 2 + FRONTEND.len() + 3 + METADATA.len();
const FRONTEND: &[u8] = b"2790a87c-5ead-4db6-b6dc-b4b64aaeaaba";
const METADATA: &[u8] =
    br#"{"peer.id":"2790a87c-5ead-4db6-b6dc-b4b64aaeaaba","peer.service":"connector","reqTimeout":"5s"}"#;
/// What makes a body its own: four digits of slot, eight of sequence.
const NUMBER: usize = 12;
const BLOCK: usize = 64 * 1024;

/// The part of a request that a responder sends back; `None`: it is no request of ours.
#[must_use]
pub fn answer(request: &Bytes) -> Option<Bytes> {
    let end = request.len().checked_sub(AFTER_BODY)?;
    Some(request.slice(end.checked_sub(ANSWER)?..end))
}

/// A forwarded request: session, message, frontend, metadata.
fn envelope(body: &[u8]) -> Vec<u8> {
    let session = [&[0x08, 7][..], &field(0x12, b"u1"), &field(0x1a, br#"{"ipversion":"ipv4"}"#)].concat();
    let message = [&[0x08, 0x90, 0x4e][..], &field(0x12, b"room.room.join"), &field(0x1a, body)].concat();
    [field(0x12, &session), field(0x1a, &message), field(0x22, FRONTEND), wide(0x2a, METADATA)].concat()
}

/// A field of at most 127 bytes.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag, bytes.len() as u8], bytes].concat()
}

/// A field whose length takes two bytes, as it does when a server's metadata has one word more.
fn wide(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag, bytes.len() as u8 | 0x80, (bytes.len() >> 7) as u8], bytes].concat()
}

#[derive(Debug, Clone, Default)]
struct Slot {
    sequence: u32,
    /// When the request in flight was sent.
    sent: Option<u64>,
}

/// The requests in flight, at most one a slot.
#[derive(Debug)]
pub struct Slots {
    /// A request whose number is written anew for each use.
    request: Vec<u8>,
    body: Range<usize>,
    slots: Vec<Slot>,
    /// One allocation for some two hundred requests.
    block: BytesMut,
}

impl Slots {
    /// `count` slots, at most 10,000, all free.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let request = envelope(&[b'w'; BODY]);
        let end = request.len() - AFTER_BODY;
        Self { request, body: end - BODY..end, slots: vec![Slot::default(); count], block: BytesMut::new() }
    }

    /// How many requests are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.slots.iter().filter(|slot| slot.sent.is_some()).count()
    }

    /// The next request of a slot, sent now.
    #[must_use]
    pub fn request(&mut self, slot: usize, now: u64) -> Bytes {
        let state = &mut self.slots[slot];
        state.sequence = (state.sequence + 1) % 100_000_000;
        state.sent = Some(now);
        let sequence = state.sequence;
        self.number(slot, sequence);
        if self.block.capacity() < self.request.len() {
            self.block.reserve(BLOCK);
        }
        self.block.put_slice(&self.request);
        self.block.split().freeze()
    }

    /// Takes an answer that came to a slot's reply subject.
    pub fn answered(&mut self, slot: usize, answer: &[u8], now: u64, tally: &mut Tally) {
        let Some((sequence, Some(sent))) = self.slots.get(slot).map(|state| (state.sequence, state.sent)) else {
            return tally.fail(1, || format!("an answer nobody asked for, in slot {slot}"));
        };
        self.slots[slot].sent = None;
        self.number(slot, sequence);
        if *answer == self.request[self.body.end - ANSWER..self.body.end] {
            tally.answered(sent, now);
        } else {
            tally.fail(1, || format!("an answer with another body: {}", String::from_utf8_lossy(answer)));
        }
    }

    fn number(&mut self, slot: usize, sequence: u32) {
        let mut rest = slot as u64 * 100_000_000 + u64::from(sequence);
        for digit in self.request[self.body.start..][..NUMBER].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered_by_its_own_body() {
        let mut slots = Slots::new(2);
        let mut tally = Tally::default();
        let first = slots.request(0, 10);
        let second = slots.request(1, 10);
        assert_eq!((first.len(), slots.in_flight()), (253, 2));
        let back = answer(&second).expect("a request");
        assert_eq!(back.len(), ANSWER);
        assert!(back.ends_with(&[b'w'; BODY - NUMBER]) && back[ANSWER - BODY..].starts_with(b"000100000001"));
        slots.answered(1, &back, 20, &mut tally);
        slots.answered(0, &back, 20, &mut tally);
        slots.answered(0, &answer(&first).expect("a request"), 20, &mut tally);
        slots.answered(7, &back, 20, &mut tally);
        assert_eq!((tally.answers, tally.failures, slots.in_flight()), (1, 3, 0));
        assert_ne!(slots.request(1, 30), second);
        assert_eq!(answer(&Bytes::from_static(b"short")), None);
    }
}
