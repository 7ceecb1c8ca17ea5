//! A call of a remote that travels alone, as Go writes it.

use super::fields::{Fields, Value, bytes_len, varint_len};
use bytes::BufMut;
use prost::encoding::encode_varint;

/// Field 1 of a `Request`: User.
const USER: [u8; 2] = [0x08, 1];

/// A `Request` of type User; all of it borrowed.
///
/// ```
/// use pitaya_core::cluster::envelope::Request;
/// use pitaya_core::cluster::lane::LoneCall;
/// use prost::Message;
///
/// let call = LoneCall { route: "room.chat.count", body: b"hi", frontend: "", metadata: b"{}" };
/// let mut bytes = Vec::new();
/// call.write(&mut bytes);
/// assert_eq!(Request::decode(&bytes[..])?.msg.map(|msg| msg.route).as_deref(), Some("room.chat.count"));
/// assert_eq!(LoneCall::read(&bytes), Some(call));
/// # Ok::<(), prost::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoneCall<'a> {
    /// The full route.
    pub route: &'a str,
    /// The argument, encoded.
    pub body: &'a [u8],
    /// The id of its sender, if that is a frontend.
    pub frontend: &'a str,
    /// A JSON object.
    pub metadata: &'a [u8],
}

impl<'a> LoneCall<'a> {
    /// Reads a `Request`; `None` when it is another one, or none. Why, whoever reads it in full can say.
    #[must_use]
    pub fn read(envelope: &'a [u8]) -> Option<Self> {
        let (mut user, mut route): (bool, Option<&[u8]>) = (false, None);
        let (mut body, mut frontend, mut metadata): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        for field in Fields::new(envelope) {
            match field.ok()? {
                (0x08, Value::Number(kind)) => user = kind == 1,
                (0x1a, Value::Bytes(message)) => {
                    let route = route.insert(&[]);
                    for field in Fields::new(message) {
                        match field.ok()? {
                            (0x12, Value::Bytes(bytes)) => *route = bytes,
                            (0x1a, Value::Bytes(bytes)) => body = bytes,
                            _ => {}
                        }
                    }
                }
                (0x22, Value::Bytes(id)) => frontend = id,
                (0x2a, Value::Bytes(json)) => metadata = json,
                _ => {}
            }
        }
        let text = |bytes| std::str::from_utf8(bytes).ok();
        user.then_some(Self { route: text(route?)?, body, frontend: text(frontend)?, metadata })
    }

    fn message_len(&self) -> usize {
        bytes_len(self.route.len()) + bytes_len(self.body.len())
    }

    /// How many bytes [`write`](Self::write) writes.
    #[must_use]
    pub fn written_len(&self) -> usize {
        let message = self.message_len();
        let rest = bytes_len(self.frontend.len()) + bytes_len(self.metadata.len());
        USER.len() + 1 + varint_len(message as u64) + message + rest
    }

    /// Writes it, byte for byte as Go does.
    pub fn write(&self, out: &mut impl BufMut) {
        out.put_slice(&USER);
        out.put_u8(0x1a);
        encode_varint(self.message_len() as u64, out);
        put_bytes(0x12, self.route.as_bytes(), out);
        put_bytes(0x1a, self.body, out);
        put_bytes(0x22, self.frontend.as_bytes(), out);
        put_bytes(0x2a, self.metadata, out);
    }
}

fn put_bytes(tag: u8, bytes: &[u8], out: &mut impl BufMut) {
    if !bytes.is_empty() {
        out.put_u8(tag);
        encode_varint(bytes.len() as u64, out);
        out.put_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::envelope::{Msg, Request, RpcType};
    use proptest::prelude::*;
    use prost::Message;

    proptest! {
        #[test]
        fn whatever_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = LoneCall::read(&bytes);
        }

        #[test]
        fn it_is_the_request_that_prost_writes(
            route in "[a-z.]{0,40}", body in proptest::collection::vec(any::<u8>(), 0..300),
            frontend in "[a-z0-9-]{0,40}", metadata in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let call = LoneCall { route: &route, body: &body, frontend: &frontend, metadata: &metadata };
            let request = Request {
                r#type: RpcType::User.into(),
                session: None,
                msg: Some(Msg { route: route.clone(), data: body.clone().into(), ..Msg::default() }),
                frontend_id: frontend.clone(),
                metadata: metadata.clone().into(),
            };
            let mut written = Vec::new();
            call.write(&mut written);
            prop_assert_eq!(&written, &request.encode_to_vec());
            prop_assert_eq!(written.len(), call.written_len());
            prop_assert_eq!(LoneCall::read(&written), Some(call));
        }
    }

    #[test]
    fn a_message_for_a_handler_is_no_call() {
        for (kind, known) in [(0, false), (1, true), (2, false)] {
            let request = Request { r#type: kind, msg: Some(Msg::default()), ..Request::default() };
            assert_eq!(LoneCall::read(&request.encode_to_vec()).is_some(), known, "{kind}");
        }
        let empty = Request { r#type: 1, ..Request::default() };
        assert_eq!(LoneCall::read(&empty.encode_to_vec()), None);
    }
}
