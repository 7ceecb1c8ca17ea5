//! What comes back by the lane: pushes, answers and kicks, each in a `Response`.

use super::fields::{self, Fields, Value, bytes_len, put_bytes, put_number};
use super::{ENVELOPE, KICK, Malformed, NUMBER, NUMBER_LEN, Number, PUSH, REASON, put_fixed};
use crate::cluster::envelope::ErrorBody;
use crate::error::Error;
use crate::wire::varint;
use prost::Message as _;

/// A `Response`, as the lane carries it; all of it borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneAnswer<'a> {
    /// What it is about. A sequence of 0 answers nothing.
    pub number: Number,
    /// The answer, unless there is an error.
    pub data: &'a [u8],
    /// Its presence means failure.
    pub error: Option<&'a [u8]>,
    /// Whether the session is kicked, after all the rest.
    pub kick: bool,
    /// Why it is kicked, a JSON object, or nothing.
    pub reason: &'a [u8],
    /// The whole of it, if it holds pushes.
    pushes: Option<&'a [u8]>,
}

impl<'a> LaneAnswer<'a> {
    /// Reads a `Response`.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub fn read(envelope: &'a [u8]) -> Result<Self, Malformed> {
        let mut read = Self::default();
        for field in Fields::new(envelope) {
            match field? {
                (0x0a, Value::Bytes(data)) => read.data = data,
                (0x12, Value::Bytes(error)) => read.error = Some(error),
                (NUMBER, Value::Number(number)) => read.number = Number(number),
                (PUSH, Value::Bytes(_)) => read.pushes = Some(envelope),
                (KICK, Value::Number(kick)) => read.kick = kick != 0,
                (REASON, Value::Bytes(reason)) => read.reason = reason,
                _ => {}
            }
        }
        Ok(read)
    }

    /// The pushes that come before the answer: route and body of each. One whose route is no UTF-8 is left out.
    pub fn pushes(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let all = Fields::new(self.pushes.unwrap_or_default());
        all.filter_map(|field| match field {
            Ok((PUSH, Value::Bytes(push))) => read_push(push),
            _ => None,
        })
    }

    /// The outcome it tells.
    ///
    /// # Errors
    /// The error in it.
    pub fn outcome(&self) -> Result<&'a [u8], Error> {
        match self.error {
            None => Ok(self.data),
            // An error that cannot be read is one all the same: presence decides.
            Some(error) => Err(ErrorBody::decode(error).unwrap_or_default().into()),
        }
    }
}

fn read_push(push: &[u8]) -> Option<(&str, &[u8])> {
    let (mut route, mut body): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::new(push) {
        match field {
            Ok((0x0a, Value::Bytes(bytes))) => route = bytes,
            Ok((0x1a, Value::Bytes(bytes))) => body = bytes,
            Ok(_) => {}
            Err(Malformed) => return None,
        }
    }
    Some((std::str::from_utf8(route).ok()?, body))
}

/// Adds an answer to a bundle.
pub fn answer(number: Number, outcome: Result<&[u8], &Error>, bundle: &mut Vec<u8>) {
    let encoded;
    let (tag, content) = match outcome {
        Ok(data) => (0x0a, data),
        Err(error) => {
            encoded = ErrorBody::from(error).encode_to_vec();
            (0x12, &encoded[..])
        }
    };
    // An error is written even when there is nothing in it.
    let length = if outcome.is_err() && content.is_empty() { 2 } else { bytes_len(content.len()) };
    bundle.push(ENVELOPE as u8);
    varint::encode((length + NUMBER_LEN) as u64, bundle);
    if length == 2 && content.is_empty() {
        bundle.extend_from_slice(&[tag as u8, 0]);
    } else {
        put_bytes(tag, content, bundle);
    }
    put_fixed(number, bundle);
}

/// Adds a push to a bundle.
pub fn push(session: Number, route: &str, body: &[u8], bundle: &mut Vec<u8>) {
    let push = bytes_len(route.len()) + bytes_len(body.len());
    bundle.push(ENVELOPE as u8);
    varint::encode((2 + fields::varint_len(push as u64) + push + NUMBER_LEN) as u64, bundle);
    varint::encode(PUSH, bundle);
    varint::encode(push as u64, bundle);
    put_bytes(0x0a, route.as_bytes(), bundle);
    put_bytes(0x1a, body, bundle);
    put_fixed(session, bundle);
}

/// Adds a kick to a bundle, with a reason or without.
pub fn kick(session: Number, reason: &[u8], bundle: &mut Vec<u8>) {
    // The tag has a second byte.
    let length = if reason.is_empty() { 0 } else { 1 + bytes_len(reason.len()) };
    bundle.push(ENVELOPE as u8);
    varint::encode((3 + NUMBER_LEN + length) as u64, bundle);
    put_number(KICK, 1, bundle);
    put_fixed(session, bundle);
    put_bytes(REASON, reason, bundle);
}
