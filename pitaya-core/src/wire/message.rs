//! The message: what a data packet carries.
//!
//! ```text
//! flags (1 byte)   [ id: varint ]        [ route ]             body: the rest, maybe nothing
//!                  request, response     request, notify, push
//! ```
//!
//! | flag | meaning |
//! |---|---|
//! | `0x01` | the route is a dictionary code of two bytes, big endian, instead of a length byte and a text |
//! | `0x0e` | the kind, shifted by one: 0 request, 1 notify, 2 response, 3 push |
//! | `0x10` | the body is compressed with zlib |
//! | `0x20` | the body of a response is an error |
//!
//! The two upper bits are sent as 0 and ignored when read.

use super::packet::{self, PacketKind};
use super::varint::{self, VarintError};

/// The flag of a route that is a dictionary code.
pub const ROUTE_CODE: u8 = 0x01;
/// The bits that hold the kind, which is shifted left by one.
pub const KIND_MASK: u8 = 0x0e;
/// The flag of a body compressed with zlib.
pub const COMPRESSED: u8 = 0x10;
/// The flag of a response whose body is an error.
pub const ERROR: u8 = 0x20;

/// The longest route that fits behind its length byte, in bytes. Go and libpitaya send a corrupt message beyond it.
pub const MAX_ROUTE: usize = 255;

/// The shortest message, in bytes: Go refuses anything below.
pub const MIN_LENGTH: usize = 2;

/// Who speaks, and whether an answer is due (`pkg/conn/message` of Go's Pitaya).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// From the client: wants exactly one response with its id. Id 0 cannot be answered.
    Request = 0,
    /// From the client: wants no answer, not even when it fails.
    Notify = 1,
    /// From the server: answers the request with its id.
    Response = 2,
    /// From the server, unasked.
    Push = 3,
}

impl MessageKind {
    /// Whether a message of this kind carries an id.
    #[inline]
    pub fn has_id(self) -> bool {
        matches!(self, Self::Request | Self::Response)
    }

    /// Whether a message of this kind carries a route.
    #[inline]
    pub fn has_route(self) -> bool {
        self != Self::Response
    }

    /// Whether a client may send it. A response or a push from a client breaks the protocol; Go runs a handler for it.
    #[inline]
    pub fn is_from_client(self) -> bool {
        matches!(self, Self::Request | Self::Notify)
    }

    #[inline]
    fn from_flags(flags: u8) -> Result<Self, MessageError> {
        Ok(match (flags & KIND_MASK) >> 1 {
            0 => Self::Request,
            1 => Self::Notify,
            2 => Self::Response,
            3 => Self::Push,
            other => return Err(MessageError::Kind(other)),
        })
    }

    #[inline]
    const fn flags(self) -> u8 {
        (self as u8) << 1
    }
}

/// A route as the wire has it.
///
/// A name is whatever bytes the client sent, at most [`MAX_ROUTE`] and possibly none; what makes a legal route is not
/// the wire's business. A code is a key of the [`Dictionary`](super::Dictionary).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteRef<'a> {
    /// The route's text, unchecked.
    Name(&'a [u8]),
    /// The route's dictionary code, unchecked.
    Code(u16),
}

impl<'a> From<&'a str> for RouteRef<'a> {
    fn from(route: &'a str) -> Self {
        Self::Name(route.as_bytes())
    }
}

impl<'a> RouteRef<'a> {
    #[inline]
    fn flag(self) -> u8 {
        match self {
            Self::Name(_) => 0,
            Self::Code(_) => ROUTE_CODE,
        }
    }

    /// Splits the route off `bytes`; the rest is the body.
    #[inline]
    fn decode(flags: u8, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), MessageError> {
        if flags & ROUTE_CODE != 0 {
            let (code, body) = bytes.split_first_chunk().ok_or(MessageError::CodeCut { left: bytes.len() })?;
            return Ok((Self::Code(u16::from_be_bytes(*code)), body));
        }
        let (&length, rest) = bytes.split_first().ok_or(MessageError::RouteLengthMissing)?;
        let (name, body) = rest
            .split_at_checked(length.into())
            .ok_or(MessageError::RouteCut { announced: length, left: rest.len() })?;
        Ok((Self::Name(name), body))
    }

    /// The length byte of a name; refuses one that does not fit.
    #[inline]
    fn check(self) -> Result<(), MessageError> {
        match self {
            Self::Name(name) if name.len() > MAX_ROUTE => Err(MessageError::RouteTooLong { length: name.len() }),
            _ => Ok(()),
        }
    }

    /// Appends a route that passed [`check`](Self::check).
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Name(name) => {
                out.push(name.len() as u8);
                out.extend_from_slice(name);
            }
            Self::Code(code) => out.extend_from_slice(&code.to_be_bytes()),
        }
    }
}

/// Why bytes are no message, or a message has no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Shorter than [`MIN_LENGTH`].
    #[error("a message of {length} bytes is too short, {MIN_LENGTH} are the least")]
    TooShort {
        /// Bytes that were there.
        length: usize,
    },
    /// The flags name none of the four kinds.
    #[error("{0} is no message kind (0 request, 1 notify, 2 response, 3 push)")]
    Kind(u8),
    /// The id cannot be read.
    #[error("the id of the message cannot be read: {0}")]
    Id(#[from] VarintError),
    /// The message ends where the route's length byte should be. One such packet ends a whole server of Go's Pitaya.
    #[error("the message ends before the length of its route")]
    RouteLengthMissing,
    /// The route is longer than what is left of the message.
    #[error("the route should have {announced} bytes, but only {left} are left")]
    RouteCut {
        /// Bytes the length byte promises.
        announced: u8,
        /// Bytes behind it.
        left: usize,
    },
    /// The message ends inside the two bytes of a dictionary code.
    #[error("a route code has 2 bytes, but only {left} are left")]
    CodeCut {
        /// Bytes that were there.
        left: usize,
    },
    /// A route to be sent does not fit behind its length byte.
    #[error("a route of {length} bytes cannot be sent, {MAX_ROUTE} are the most")]
    RouteTooLong {
        /// Bytes of the route.
        length: usize,
    },
    /// A request, notify or push to be sent lacks its route.
    #[error("a {0:?} cannot be sent without a route")]
    RouteMissing(MessageKind),
    /// A response to be sent has a route, for which the wire has no place.
    #[error("a response is sent without a route: its id says what it answers")]
    RouteUnexpected,
    /// A notify or push to be sent has an id, for which the wire has no place.
    #[error("a {0:?} is sent without an id: nothing answers it")]
    IdUnexpected(MessageKind),
}

/// One message, borrowed from the bytes it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Who speaks, and whether an answer is due.
    pub kind: MessageKind,
    /// The number a request and its response share; 0 in a notify and a push.
    pub id: u64,
    /// Where it goes or, in a push, what it is about. `None` in a response only.
    pub route: Option<RouteRef<'a>>,
    /// Whether `body` is compressed with zlib; [`inflate`](super::inflate) opens it.
    pub compressed: bool,
    /// Whether `body` is an error. Has a meaning in responses only.
    pub error: bool,
    /// The payload as it travels.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the message that fills `bytes`, the body of a data packet.
    ///
    /// # Errors
    /// A [`MessageError`] for each way to be malformed. The session that sent it is to be closed, as Go does.
    ///
    /// ```
    /// use pitaya_core::wire::{Message, MessageKind, RouteRef};
    ///
    /// let message = Message::decode(b"\x00\x01\x09room.join{}")?;
    /// assert_eq!(message.kind, MessageKind::Request);
    /// assert_eq!(message.id, 1);
    /// assert_eq!(message.route, Some(RouteRef::Name(b"room.join")));
    /// assert_eq!(message.body, b"{}");
    /// # Ok::<(), pitaya_core::wire::MessageError>(())
    /// ```
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let [flags, rest @ ..] = bytes else { return Err(MessageError::TooShort { length: 0 }) };
        if bytes.len() < MIN_LENGTH {
            return Err(MessageError::TooShort { length: bytes.len() });
        }
        let kind = MessageKind::from_flags(*flags)?;
        let (id, rest) = match kind.has_id() {
            true => varint::decode(rest).map(|(id, used)| (id, &rest[used..]))?,
            false => (0, rest),
        };
        // A response has no route whatever bit 0 says.
        let (route, body) = match kind.has_route() {
            true => RouteRef::decode(*flags, rest).map(|(route, body)| (Some(route), body))?,
            false => (None, rest),
        };
        Ok(Self { kind, id, route, compressed: flags & COMPRESSED != 0, error: flags & ERROR != 0, body })
    }

    /// Appends the message to `out`; the body goes as it is, compressed or not.
    ///
    /// # Errors
    /// [`MessageError::RouteTooLong`], [`RouteMissing`](MessageError::RouteMissing),
    /// [`RouteUnexpected`](MessageError::RouteUnexpected) and [`IdUnexpected`](MessageError::IdUnexpected): what would
    /// not be read back as it was meant. `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        match self.route {
            Some(_) if !self.kind.has_route() => return Err(MessageError::RouteUnexpected),
            None if self.kind.has_route() => return Err(MessageError::RouteMissing(self.kind)),
            Some(route) => route.check()?,
            None => {}
        }
        if self.id != 0 && !self.kind.has_id() {
            return Err(MessageError::IdUnexpected(self.kind));
        }
        let mut flags = self.kind.flags() | self.route.map_or(0, RouteRef::flag);
        if self.compressed {
            flags |= COMPRESSED;
        }
        if self.error {
            flags |= ERROR;
        }
        out.push(flags);
        if self.kind.has_id() {
            varint::encode(self.id, out);
        }
        if let Some(route) = self.route {
            route.put(out);
        }
        out.extend_from_slice(self.body);
        Ok(())
    }
}

/// Appends what comes before the body of a response; the body is then written behind it, without a copy.
///
/// To compress that body, note where it starts, call [`compress_tail`](super::compress_tail) and, when that says so,
/// set [`COMPRESSED`] in the flags, which are the first byte written here.
#[inline(always)]
pub fn response_head(out: &mut Vec<u8>, id: u64, error: bool) {
    out.push(MessageKind::Response.flags() | if error { ERROR } else { 0 });
    varint::encode(id, out);
}

/// Appends all that comes before the body of a response without an error, its packet included, and returns where the
/// packet starts: [`packet::open`] and [`response_head`] at once.
#[inline(always)]
pub fn open_response(out: &mut Vec<u8>, id: u64) -> usize {
    const DATA: u8 = PacketKind::Data as u8;
    const RESPONSE: u8 = MessageKind::Response.flags();
    let at = out.len();
    // At once: each append looks whether there is room.
    match id {
        0..0x80 => out.extend_from_slice(&[DATA, 0, 0, 0, RESPONSE, id as u8]),
        0x80..0x4000 => out.extend_from_slice(&[DATA, 0, 0, 0, RESPONSE, id as u8 | 0x80, (id >> 7) as u8]),
        _ => {
            packet::open(out, PacketKind::Data);
            response_head(out, id, false);
        }
    }
    at
}

/// Appends what comes before the body of a push, like [`response_head`].
///
/// # Errors
/// [`MessageError::RouteTooLong`]; `out` is then as it was.
#[inline]
pub fn push_head(out: &mut Vec<u8>, route: RouteRef<'_>) -> Result<(), MessageError> {
    route.check()?;
    out.push(MessageKind::Push.flags() | route.flag());
    route.put(out);
    Ok(())
}

#[cfg(test)]
mod tests;
