//! The lane: how our servers forward many clients' messages as one message of a broker, and keep their order.
//!
//! A *bundle* is what is ready for one peer at one moment: field 1, repeated, holds one envelope each (`Request` on the
//! way there, `Response` on the way back), field 2 of a bundle of requests says when it was sent. Calls of
//! remotes travel in bundles of their own ([`LaneCall`]). In an envelope the
//! fields from 1000 on are ours. The reading functions are total: whatever the bytes, they end, and copy nothing. The
//! bytes are described in `docs/lane.md`.

use crate::wire::varint;

mod alone;
mod answers;
mod calls;
mod fields;
#[cfg(test)]
mod tests;

pub use alone::LoneCall;
pub use answers::{LaneAnswer, answer, kick, push};
pub use calls::{CallPart, LaneCall, call_parts, open_calls, open_calls_len, retain_calls, sender_metadata};
use fields::{Fields, Value, bytes_len, put_bytes, put_number};

/// Field 1 of a bundle, bytes.
const ENVELOPE: u64 = 1 << 3 | 2;
/// Field 2 of a bundle, fixed64.
const SENT: u64 = 2 << 3 | 1;
/// Field 1000 of an envelope, fixed64.
const NUMBER: u64 = 1000 << 3 | 1;
/// Field 1001 of a `Response`, bytes: a `Push`.
const PUSH: u64 = 1001 << 3 | 2;
/// Field 1002 of a `Response`, varint.
const KICK: u64 = 1002 << 3;
/// Field 1008 of a `Response`, bytes: why it is kicked.
const REASON: u64 = 1008 << 3 | 2;
/// Field 1003 of a `Request`, bytes: metadata of this message alone.
const OWN: u64 = 1003 << 3 | 2;
/// Field 1007 of a `Request`, varint: the body is compressed.
const DEFLATED: u64 = 1007 << 3;
/// Bytes of [`DEFLATED`]: two of the tag, one of the value.
const DEFLATED_LEN: usize = 3;
/// What [`NUMBER`] takes: two bytes of the tag, eight of the value.
const NUMBER_LEN: usize = 10;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of the lane is malformed")]
pub struct Malformed;

/// Which message of which session is meant: slot (24 bits), generation (8), sequence (32). Only the frontend that made
/// it understands it; who answers repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Number(pub u64);

impl Number {
    /// The most slots there are.
    pub const SLOTS: u32 = 1 << 24;

    /// Of the bits of `slot` the lower 24 count.
    #[must_use]
    pub const fn new(slot: u32, generation: u8, sequence: u32) -> Self {
        Self((slot as u64) << 40 | (generation as u64) << 32 | sequence as u64)
    }

    /// Which session.
    #[must_use]
    pub const fn slot(self) -> u32 {
        (self.0 >> 40) as u32
    }

    /// Which of the sessions that had this slot, one after the other.
    #[must_use]
    pub const fn generation(self) -> u8 {
        (self.0 >> 32) as u8
    }

    /// Which message, counted from 1. 0 means the session.
    #[must_use]
    pub const fn sequence(self) -> u32 {
        self.0 as u32
    }

    /// The session, without a message.
    #[must_use]
    pub const fn session(self) -> Self {
        Self(self.0 & !0xffff_ffff)
    }
}

/// What a bundle consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// When it was sent, in milliseconds of a clock that only its sender knows.
    SentAt(u64),
    /// A `Request` or a `Response`.
    Envelope(&'a [u8]),
}

/// The parts of a bundle. Ends after the first that cannot be read.
pub fn parts(bundle: &[u8]) -> impl Iterator<Item = Result<Part<'_>, Malformed>> {
    Fields::new(bundle).filter_map(|field| match field {
        Ok((ENVELOPE, Value::Bytes(bytes))) => Some(Ok(Part::Envelope(bytes))),
        Ok((SENT, Value::Number(millis))) => Some(Ok(Part::SentAt(millis))),
        Ok(_) => None,
        Err(e) => Some(Err(e)),
    })
}

/// How much of a bundle can be cut off at its front without cutting an envelope, `most` bytes at most.
#[must_use]
pub fn cut(bundle: &[u8], most: usize) -> usize {
    let mut fields = Fields::new(bundle);
    let mut end = 0;
    while let Some(Ok(_)) = fields.next() {
        let next = bundle.len() - fields.rest();
        if next > most {
            break;
        }
        end = next;
    }
    end
}

/// The beginning of a bundle of requests, with the time it is sent at.
pub fn open(sent: u64, bundle: &mut Vec<u8>) {
    bundle.push(SENT as u8);
    bundle.extend_from_slice(&sent.to_le_bytes());
}

/// Changes the time in a bundle that begins with [`open`].
pub fn stamp(sent: u64, bundle: &mut [u8]) {
    if let Some(place) = bundle.get_mut(1..9) {
        place.copy_from_slice(&sent.to_le_bytes());
    }
}

/// A `Request`, as the lane carries it; all of it borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forwarded<'a> {
    /// Whether it says that it is for a handler: nothing else belongs on the lane.
    pub sys: bool,
    /// The number of the session on its frontend.
    pub session: i64,
    /// Whom it is bound to.
    pub uid: &'a [u8],
    /// Its data.
    pub data: &'a [u8],
    /// The client's number of a request.
    pub id: u64,
    /// Whether it is a notify.
    pub notify: bool,
    /// The full route.
    pub route: &'a [u8],
    /// The client's body.
    pub body: &'a [u8],
    /// Whether the body is compressed still.
    pub deflated: bool,
    /// For how many microseconds its frontend waits, counted from when it was sent; 0 for as long as its metadata say.
    pub micros: u64,
    /// The sender's id.
    pub frontend: &'a [u8],
    /// A JSON object, the same bytes in all messages of a frontend.
    pub metadata: &'a [u8],
    /// A JSON object of what this message alone brings, or nothing.
    pub own: &'a [u8],
    /// Which message it is.
    pub number: Number,
}

impl<'a> Forwarded<'a> {
    /// Reads a `Request`.
    ///
    /// # Errors
    /// [`Malformed`] when it is none, or has no message.
    pub fn read(envelope: &'a [u8]) -> Result<Self, Malformed> {
        let mut read = Self { sys: true, ..Self::default() };
        let mut message = false;
        for field in Fields::new(envelope) {
            match field? {
                (0x08, Value::Number(kind)) => read.sys = kind == 0,
                (0x12, Value::Bytes(session)) => read.read_session(session)?,
                (0x1a, Value::Bytes(bytes)) => {
                    message = true;
                    read.read_message(bytes)?;
                }
                (0x22, Value::Bytes(id)) => read.frontend = id,
                (0x2a, Value::Bytes(json)) => read.metadata = json,
                (NUMBER, Value::Number(number)) => read.number = Number(number),
                (OWN, Value::Bytes(json)) => read.own = json,
                (calls::TIME, Value::Number(micros)) => read.micros = micros,
                (DEFLATED, Value::Number(deflated)) => read.deflated = deflated != 0,
                _ => {}
            }
        }
        if message { Ok(read) } else { Err(Malformed) }
    }

    fn read_session(&mut self, session: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields::new(session) {
            match field? {
                (0x08, Value::Number(id)) => self.session = id as i64,
                (0x12, Value::Bytes(uid)) => self.uid = uid,
                (0x1a, Value::Bytes(data)) => self.data = data,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_message(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields::new(message) {
            match field? {
                (0x08, Value::Number(id)) => self.id = id,
                (0x12, Value::Bytes(route)) => self.route = route,
                (0x1a, Value::Bytes(body)) => self.body = body,
                (0x28, Value::Number(kind)) => self.notify = kind == 1,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The part of a `Request` that says whose message it is: the same until the session's uid or data change.
#[must_use]
pub fn session_part(id: i64, uid: &str, data: &[u8]) -> Vec<u8> {
    let mut session = Vec::with_capacity(16 + uid.len() + data.len());
    put_number(0x08, id as u64, &mut session);
    put_bytes(0x12, uid.as_bytes(), &mut session);
    put_bytes(0x1a, data, &mut session);
    let mut part = Vec::with_capacity(session.len() + 4);
    part.push(0x12);
    varint::encode(session.len() as u64, &mut part);
    part.extend_from_slice(&session);
    part
}

/// The part of a `Request` that says who sends it: the same for all messages of a frontend.
#[must_use]
pub fn sender_part(frontend: &str, metadata: &[u8]) -> Vec<u8> {
    let mut part = Vec::new();
    put_bytes(0x22, frontend.as_bytes(), &mut part);
    put_bytes(0x2a, metadata, &mut part);
    part
}

/// A `Request` that is about to be written, made of parts.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// [`session_part`]
    pub session: &'a [u8],
    /// [`sender_part`]
    pub sender: &'a [u8],
    /// The client's number of a request.
    pub id: u64,
    /// Whether it is a notify.
    pub notify: bool,
    /// The full route.
    pub route: &'a str,
    /// The client's body.
    pub body: &'a [u8],
    /// Whether the body is compressed still: by the lane only.
    pub deflated: bool,
    /// For how many microseconds the answer is waited for, by the lane only; 0 for as long as `sender` says.
    pub micros: u64,
    /// A JSON object that goes by the lane with this message alone; mostly nothing.
    pub own: &'a [u8],
}

impl Outgoing<'_> {
    fn message_len(&self) -> usize {
        let id = if self.id == 0 { 0 } else { 1 + fields::varint_len(self.id) };
        id + bytes_len(self.route.len()) + bytes_len(self.body.len()) + if self.notify { 2 } else { 0 }
    }

    /// How long [`write`](Self::write) makes it.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        let message = self.message_len();
        self.session.len() + 1 + fields::varint_len(message as u64) + message + self.sender.len()
    }

    fn envelope_len(&self) -> usize {
        // The tag has a second byte.
        let own = if self.own.is_empty() { 0 } else { 1 + bytes_len(self.own.len()) };
        // The tag has a second byte here, too.
        let time = if self.micros == 0 { 0 } else { 2 + fields::varint_len(self.micros) };
        self.plain_len() + NUMBER_LEN + own + time + if self.deflated { DEFLATED_LEN } else { 0 }
    }

    /// How much [`carry`](Self::carry) adds to a bundle.
    #[must_use]
    pub fn carried_len(&self) -> usize {
        let envelope = self.envelope_len();
        1 + fields::varint_len(envelope as u64) + envelope
    }

    /// Writes the envelope that a Go server gets.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.session);
        out.push(0x1a);
        varint::encode(self.message_len() as u64, out);
        put_number(0x08, self.id, out);
        put_bytes(0x12, self.route.as_bytes(), out);
        put_bytes(0x1a, self.body, out);
        put_number(0x28, u64::from(self.notify), out);
        out.extend_from_slice(self.sender);
    }

    /// Adds it to a bundle.
    pub fn carry(&self, number: Number, bundle: &mut Vec<u8>) {
        bundle.push(ENVELOPE as u8);
        varint::encode(self.envelope_len() as u64, bundle);
        self.write(bundle);
        put_fixed(number, bundle);
        if !self.own.is_empty() {
            put_bytes(OWN, self.own, bundle);
        }
        put_number(calls::TIME, self.micros, bundle);
        put_number(DEFLATED, u64::from(self.deflated), bundle);
    }
}

fn put_fixed(number: Number, out: &mut Vec<u8>) {
    varint::encode(NUMBER, out);
    out.extend_from_slice(&number.0.to_le_bytes());
}
