//! Bundles of calls of remotes.
//!
//! What all calls of a sender have in common stands once, in front: field 3 of the bundle. Calls are `Request`s of type
//! User, and nothing else is read from such a bundle: what is forwarded in the name of a frontend never comes by it.

use super::fields::{Fields, Value, bytes_len, put_bytes, put_number, varint_len};
use super::{ENVELOPE, Malformed, NUMBER, NUMBER_LEN, Number, OWN, put_fixed};
use crate::wire::varint;

/// Field 3 of a bundle, bytes: a `Request` that says only who sends them.
const SENDER: u64 = 3 << 3 | 2;
/// Field 1004 of a `Request`, varint: for how many microseconds its caller waits.
pub(super) const TIME: u64 = 1004 << 3;
/// Field 1 of a `Request`, and the only type there is here: User.
const USER: [u8; 2] = [0x08, 1];

/// What a bundle of calls consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallPart<'a> {
    /// Who sends them: [`sender_part`](super::sender_part). It stands first.
    Sender(&'a [u8]),
    /// A call.
    Envelope(&'a [u8]),
}

/// The parts of a bundle of calls. Ends after the first that cannot be read.
pub fn call_parts(bundle: &[u8]) -> impl Iterator<Item = Result<CallPart<'_>, Malformed>> {
    Fields::new(bundle).filter_map(|field| match field {
        Ok((ENVELOPE, Value::Bytes(bytes))) => Some(Ok(CallPart::Envelope(bytes))),
        Ok((SENDER, Value::Bytes(bytes))) => Some(Ok(CallPart::Sender(bytes))),
        Ok(_) => None,
        Err(e) => Some(Err(e)),
    })
}

/// The metadata in a [`CallPart::Sender`].
///
/// # Errors
/// [`Malformed`] when it is no `Request`.
pub fn sender_metadata(sender: &[u8]) -> Result<&[u8], Malformed> {
    let mut metadata: &[u8] = &[];
    for field in Fields::new(sender) {
        if let (0x2a, Value::Bytes(json)) = field? {
            metadata = json;
        }
    }
    Ok(metadata)
}

/// The beginning of a bundle of calls of this sender.
pub fn open_calls(sender: &[u8], bundle: &mut Vec<u8>) {
    put_bytes(SENDER, sender, bundle);
}

/// How long [`open_calls`] makes it.
#[must_use]
pub fn open_calls_len(sender: &[u8]) -> usize {
    bytes_len(sender.len())
}

/// The calls of a bundle that are still wanted, with what stands before them.
pub fn retain_calls(bundle: &[u8], mut wanted: impl FnMut(Number) -> bool) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bundle.len());
    for part in call_parts(bundle).flatten() {
        match part {
            CallPart::Sender(sender) => open_calls(sender, &mut kept),
            CallPart::Envelope(envelope) if LaneCall::read(envelope).is_ok_and(|call| wanted(call.number)) => {
                put_bytes(ENVELOPE, envelope, &mut kept);
            }
            CallPart::Envelope(_) => {}
        }
    }
    kept
}

/// A call of a remote, as a bundle carries it; all of it borrowed.
///
/// ```
/// use pitaya_core::cluster::lane::{CallPart, LaneCall, Number, call_parts, open_calls};
///
/// let call = LaneCall { route: "room.chat.count", body: b"hi", own: b"", number: Number(7), micros: 5_000_000 };
/// let mut bundle = Vec::new();
/// open_calls(b"\x2a\x02{}", &mut bundle);
/// call.carry(&mut bundle);
/// let read = call_parts(&bundle).find_map(|part| match part {
///     Ok(CallPart::Envelope(envelope)) => LaneCall::read(envelope).ok(),
///     _ => None,
/// });
/// assert_eq!(read, Some(call));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneCall<'a> {
    /// The full route.
    pub route: &'a str,
    /// The argument, encoded.
    pub body: &'a [u8],
    /// A JSON object of what this call brings beside what all calls of its sender do, or nothing.
    pub own: &'a [u8],
    /// Which call it is: whoever answers repeats it.
    pub number: Number,
    /// For how many microseconds its caller waits from when it was sent.
    pub micros: u64,
}

impl<'a> LaneCall<'a> {
    /// Reads a `Request`.
    ///
    /// # Errors
    /// [`Malformed`] when it is none, has no message or no number, is not for a remote, or leaves no time.
    pub fn read(envelope: &'a [u8]) -> Result<Self, Malformed> {
        let mut read = Self { route: "", body: &[], own: &[], number: Number(0), micros: 0 };
        let (mut user, mut route): (bool, Option<&[u8]>) = (false, None);
        for field in Fields::new(envelope) {
            match field? {
                (0x08, Value::Number(kind)) => user = kind == 1,
                (0x1a, Value::Bytes(message)) => {
                    let route = route.insert(&[]);
                    for field in Fields::new(message) {
                        match field? {
                            (0x12, Value::Bytes(bytes)) => *route = bytes,
                            (0x1a, Value::Bytes(bytes)) => read.body = bytes,
                            _ => {}
                        }
                    }
                }
                (NUMBER, Value::Number(number)) => read.number = Number(number),
                (OWN, Value::Bytes(json)) => read.own = json,
                (TIME, Value::Number(micros)) => read.micros = micros,
                _ => {}
            }
        }
        read.route = route.and_then(|route| std::str::from_utf8(route).ok()).ok_or(Malformed)?;
        if user && read.number.0 != 0 && read.micros != 0 { Ok(read) } else { Err(Malformed) }
    }

    fn message_len(&self) -> usize {
        bytes_len(self.route.len()) + bytes_len(self.body.len())
    }

    fn envelope_len(&self) -> usize {
        let message = self.message_len();
        // The tags of our own fields have a second byte.
        let own = if self.own.is_empty() { 0 } else { 1 + bytes_len(self.own.len()) };
        let time = if self.micros == 0 { 0 } else { 2 + varint_len(self.micros) };
        USER.len() + 1 + varint_len(message as u64) + message + NUMBER_LEN + own + time
    }

    /// How much [`carry`](Self::carry) adds to a bundle.
    #[must_use]
    pub fn carried_len(&self) -> usize {
        let envelope = self.envelope_len();
        1 + varint_len(envelope as u64) + envelope
    }

    /// Adds it to a bundle.
    pub fn carry(&self, bundle: &mut Vec<u8>) {
        bundle.push(ENVELOPE as u8);
        varint::encode(self.envelope_len() as u64, bundle);
        bundle.extend_from_slice(&USER);
        bundle.push(0x1a);
        varint::encode(self.message_len() as u64, bundle);
        put_bytes(0x12, self.route.as_bytes(), bundle);
        put_bytes(0x1a, self.body, bundle);
        put_fixed(self.number, bundle);
        put_bytes(OWN, self.own, bundle);
        put_number(TIME, self.micros, bundle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::envelope::{Msg, Request, RpcType};
    use crate::cluster::lane::sender_part;
    use proptest::prelude::*;
    use prost::Message;

    fn calls(bundle: &[u8]) -> Vec<LaneCall<'_>> {
        let call = |part| match part {
            Ok(CallPart::Envelope(envelope)) => Some(LaneCall::read(envelope).expect("a call")),
            _ => None,
        };
        call_parts(bundle).filter_map(call).collect()
    }

    proptest! {
        #[test]
        fn whatever_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for part in call_parts(&bytes).flatten() {
                match part {
                    CallPart::Envelope(envelope) => drop(LaneCall::read(envelope)),
                    CallPart::Sender(sender) => drop(sender_metadata(sender)),
                }
            }
            let _ = (LaneCall::read(&bytes), sender_metadata(&bytes));
            prop_assert!(retain_calls(&bytes, |_| true).len() <= bytes.len());
        }

        #[test]
        fn a_call_is_a_request_that_prost_reads(
            route in "[a-z.]{0,40}", body in proptest::collection::vec(any::<u8>(), 0..300),
            own in proptest::collection::vec(any::<u8>(), 0..200), number in 1..u64::MAX, micros in 1..u64::MAX,
        ) {
            let call = LaneCall { route: &route, body: &body, own: &own, number: Number(number), micros };
            let mut bundle = Vec::new();
            call.carry(&mut bundle);
            prop_assert_eq!(bundle.len(), call.carried_len());
            prop_assert_eq!(calls(&bundle), [call]);
            let Some(Ok(CallPart::Envelope(envelope))) = call_parts(&bundle).next() else { panic!("a call") };
            let read = Request::decode(envelope).expect("a request");
            prop_assert_eq!(read.r#type, i32::from(RpcType::User));
            let msg = read.msg.unwrap_or_default();
            prop_assert_eq!((&msg.route, &msg.data[..]), (&route, &body[..]));
        }

        /// One byte of a good bundle is another, or its end is missing.
        #[test]
        fn whatever_happens_to_a_bundle(at in 0..100usize, byte: u8, cut in 0..100usize) {
            let mut bundle = Vec::new();
            open_calls(&sender_part("fe", b"{}"), &mut bundle);
            LaneCall { route: "a.b.c", body: b"xyz", own: b"{}", number: Number(9), micros: 1 }.carry(&mut bundle);
            if let Some(place) = bundle.get_mut(at) {
                *place = byte;
            }
            bundle.truncate(bundle.len().min(cut));
            for part in call_parts(&bundle).flatten() {
                if let CallPart::Envelope(envelope) = part {
                    let _ = LaneCall::read(envelope);
                }
            }
        }
    }

    #[test]
    fn what_is_not_wanted_any_more_is_cut_out() {
        let (sender, mut bundle) = (sender_part("", b"{}"), Vec::new());
        open_calls(&sender, &mut bundle);
        assert_eq!(bundle.len(), open_calls_len(&sender));
        let call = |number| LaneCall { route: "a.b.c", body: b"", own: b"", number: Number(number), micros: 9 };
        (1..=3).for_each(|number| call(number).carry(&mut bundle));
        let kept = retain_calls(&bundle, |number| number.0 != 2);
        assert_eq!(calls(&kept), [call(1), call(3)]);
        assert!(matches!(call_parts(&kept).next(), Some(Ok(CallPart::Sender(kept))) if kept == sender));
        assert_eq!(retain_calls(&bundle, |_| true), bundle);
        assert_eq!(sender_metadata(&sender), Ok(&b"{}"[..]));
    }

    /// A message that is forwarded, and a call without a number or without time, are none.
    #[test]
    fn nothing_else_is_a_call() {
        let request = |kind: RpcType, route: &str| Request {
            r#type: kind.into(),
            msg: Some(Msg { route: route.to_owned(), ..Msg::default() }),
            ..Request::default()
        };
        for bytes in [request(RpcType::Sys, "a.b.c").encode_to_vec(), request(RpcType::User, "a.b.c").encode_to_vec()] {
            assert_eq!(LaneCall::read(&bytes), Err(Malformed));
        }
        let mut numbered = request(RpcType::Sys, "a.b.c").encode_to_vec();
        put_fixed(Number(1), &mut numbered);
        put_number(TIME, 5, &mut numbered);
        assert_eq!(LaneCall::read(&numbered), Err(Malformed));
        numbered.extend_from_slice(&USER);
        assert!(LaneCall::read(&numbered).is_ok());
    }

    #[test]
    fn the_example_of_the_page() {
        let mut bundle = Vec::new();
        open_calls(&sender_part("", b"{}"), &mut bundle);
        LaneCall { route: "room.chat.count", body: b"hi", own: b"", number: Number(1 << 32 | 1), micros: 5_000_000 }
            .carry(&mut bundle);
        let hex: String = bundle.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "1a042a027b7d0a2908011a15120f726f6f6d2e636861742e636f756e741a026869c13e0100000001000000e03ec096b102"
        );
    }
}
