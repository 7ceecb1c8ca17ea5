//! The seal of a message between servers: an authentication code over all its bytes and its way, as its last field.
//!
//! The field is number 1009 of every message and bundle. Whoever does not know it skips it, Go servers among them. What the
//! code is made with is the runtime's; here are the bytes. `docs/lane.md` describes them.

/// How many bytes a seal adds to a message.
pub const LEN: usize = HEAD.len() + CONTENT;
/// How many bytes the code has: those of HMAC-SHA256.
pub const CODE: usize = 32;

/// Field 1009, bytes, and their number.
const HEAD: [u8; 3] = [0x8a, 0x3f, CONTENT as u8];
/// Connection, number, time, key and code.
const CONTENT: usize = 16 + 8 + 8 + 4 + CODE;
/// Stands in front of what is signed, so that no code of another protocol with the same key is one of these.
const CONTEXT: &[u8] = b"pitaya.seal.1";

/// Purpose of a message. A code for one is none for another: the bytes of an answer might be those of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// To a server's own subjects: calls and clients' messages, alone or in bundles, and probes.
    Request = 1,
    /// To a reply subject: answers, alone or in bundles.
    Answer = 2,
    /// To a topic: pushes and kicks by a user's subject, and logins.
    Publication = 3,
}

/// The part of a seal that its sender chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Token of the sender's connection to the broker: another one with each connection.
    pub connection: [u8; 16],
    /// Number of the message on that connection: rising, so that a message that comes again is known.
    pub number: u64,
    /// Time of sending in microseconds since 1970.
    pub sent: u64,
    /// Which key the code was made with.
    pub key: [u8; 4],
}

impl Seal {
    /// Gives `update` the parts of what the code covers, in order: the way and the body of the message and the rest of the seal.
    pub fn covered(&self, purpose: Purpose, subject: &str, reply: &str, body: &[u8], mut update: impl FnMut(&[u8])) {
        update(CONTEXT);
        update(&[purpose as u8]);
        for text in [subject, reply] {
            update(&(text.len() as u64).to_le_bytes());
            update(text.as_bytes());
        }
        update(&self.connection);
        update(&self.number.to_le_bytes());
        update(&self.sent.to_le_bytes());
        update(&self.key);
        update(body);
    }

    /// The field, with this code.
    #[must_use]
    pub fn field(&self, code: &[u8; CODE]) -> [u8; LEN] {
        let mut field = [0; LEN];
        let parts: [&[u8]; 6] =
            [&HEAD, &self.connection, &self.number.to_le_bytes(), &self.sent.to_le_bytes(), &self.key, code];
        let mut at = 0;
        for part in parts {
            field[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        field
    }

    /// Splits a message into its body, its seal and the code. `None` when it does not end with a seal.
    #[must_use]
    pub fn split(message: &[u8]) -> Option<(&[u8], Self, &[u8; CODE])> {
        let (body, field) = message.split_last_chunk::<LEN>()?;
        let (head, rest) = field.split_first_chunk()?;
        if *head != HEAD {
            return None;
        }
        let (connection, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (sent, rest) = rest.split_first_chunk()?;
        let (key, code) = rest.split_first_chunk()?;
        let (number, sent) = (u64::from_le_bytes(*number), u64::from_le_bytes(*sent));
        Some((body, Self { connection: *connection, number, sent, key: *key }, code.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::envelope::{BindMsg, KickMsg, Push, Request, Response};
    use crate::cluster::lane;
    use proptest::prelude::*;
    use prost::Message;

    const SEAL: Seal = Seal { connection: *b"0123456789abcdef", number: 0x0102, sent: 0x03, key: *b"key1" };

    fn sealed(mut message: Vec<u8>) -> Vec<u8> {
        message.extend_from_slice(&SEAL.field(&[7; CODE]));
        message
    }

    proptest! {
        #[test]
        fn whatever_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Seal::split(&bytes);
            let sealed = sealed(bytes.clone());
            prop_assert_eq!(Seal::split(&sealed), Some((&bytes[..], SEAL, &[7; CODE])));
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let hex: String = SEAL.field(&[7; CODE]).iter().map(|byte| format!("{byte:02x}")).collect();
        let code = "07".repeat(32);
        assert_eq!(
            hex,
            format!("8a3f4430313233343536373839616263646566020100000000000003000000000000006b657931{code}")
        );
        let mut covered = Vec::new();
        SEAL.covered(Purpose::Answer, "ab", "c", b"body", |part| covered.extend_from_slice(part));
        let mut expected = b"pitaya.seal.1\x02".to_vec();
        expected.extend_from_slice(b"\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c");
        expected.extend_from_slice(b"0123456789abcdef\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0key1body");
        assert_eq!(covered, expected);
    }

    #[test]
    fn whoever_does_not_know_it_skips_it() {
        let push = Push { route: "r".to_owned(), uid: "u".to_owned(), data: "d".into() };
        assert_eq!(Push::decode(&sealed(push.encode_to_vec())[..]), Ok(push));
        let kick = KickMsg { user_id: "u".to_owned(), ..KickMsg::default() };
        assert_eq!(KickMsg::decode(&sealed(kick.encode_to_vec())[..]), Ok(kick));
        let bound = BindMsg { uid: "u".to_owned(), fid: "f".to_owned(), ..BindMsg::default() };
        assert_eq!(BindMsg::decode(&sealed(bound.encode_to_vec())[..]), Ok(bound));
        let request = Request { frontend_id: "f".to_owned(), ..Request::default() };
        assert_eq!(Request::decode(&sealed(request.encode_to_vec())[..]), Ok(request));
        let response = Response { data: "d".into(), error: None };
        assert_eq!(Response::decode(&sealed(response.encode_to_vec())[..]), Ok(response));
        let mut bundle = Vec::new();
        lane::answer(lane::Number(7), Ok(b"d"), &mut bundle);
        assert!(lane::parts(&sealed(bundle.clone())).eq(lane::parts(&bundle)));
    }
}
