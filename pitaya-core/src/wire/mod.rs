//! The wire between a client and a frontend: bytes in, meaning out, and back. No socket, no clock, no task.
//!
//! ```text
//!  a stream of packets      01 000041 {"code":200,…}   02 000000   04 00000e ┐   03 000000
//!                           handshake                  ack         data      │   heartbeat
//!                                                                            │
//!  the message in a data packet        00      01   09 "room.join"   {}     ◀┘
//!                                      flags   id   route            body (zlib when flag 0x10 is set)
//! ```
//!
//! | module | noun |
//! |---|---|
//! | [`packet`] | the frame: a kind, a 24 bit length, a body |
//! | [`message`] | what a data packet carries: request, notify, response, push |
//! | [`varint`] | the number a request and its response share |
//! | [`compress`] | zlib both ways, bounded on the way in |
//! | [`dictionary`] | routes that travel as two bytes |
//! | [`lock`] | codes that stay the same from one release to the next |
//! | [`handshake`] | the JSON both sides open with |
//!
//! Decoders are total: every byte string gives a value or a typed error, nothing is allocated for a length that was
//! only announced, and what they return borrows the bytes it was read from. Encoders append to a caller's buffer and
//! refuse what the wire cannot say; a refusal leaves the buffer as it was.
//!
//! Which packet may come when is not decided here but in [`session::state`](crate::session::state).

pub mod compress;
pub mod dictionary;
pub mod handshake;
mod kick;
pub mod lock;
pub mod message;
pub mod packet;
pub mod varint;

pub use self::{
    compress::{InflateError, MIN_COMPRESS, compress_tail, inflate, inflate_within},
    dictionary::{Dictionary, DictionaryError},
    handshake::{HandshakeData, HandshakeError, HandshakeLimits, HandshakeReply, HandshakeResponse},
    kick::kick,
    lock::{CodeError, Coded, RoutesLock, UPDATE_VARIABLE, pinned_twice},
    message::{Message, MessageError, MessageKind, RouteRef},
    packet::{Packet, PacketError, PacketKind},
};
