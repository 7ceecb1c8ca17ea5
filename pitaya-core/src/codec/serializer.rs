//! The codec an app speaks with its clients, when all that matters is its name and its errors.

use super::Codec;
use crate::error::Error;

/// A codec as a value: what a connection needs to know of it.
#[derive(Clone, Copy)]
pub struct Serializer {
    name: &'static str,
    encode_error: fn(&Error, &mut Vec<u8>),
}

/// The value for a codec type.
#[must_use]
pub const fn serializer<C: Codec>() -> Serializer {
    Serializer { name: C::NAME, encode_error: C::encode_error }
}

impl Serializer {
    /// The name announced in the handshake.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Appends the body of an error answer.
    pub fn encode_error(&self, error: &Error, out: &mut Vec<u8>) {
        (self.encode_error)(error, out);
    }
}

impl std::fmt::Debug for Serializer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Serializer").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Json, Protobuf};
    use super::*;

    #[test]
    fn error_bodies_are_those_of_go() {
        let error = Error::new("PIT-404", "nf").with("k", "v");
        let mut out = vec![];
        serializer::<Json>().encode_error(&error, &mut out);
        assert_eq!(out, br#"{"code":"PIT-404","msg":"nf","metadata":{"k":"v"}}"#);
        out.clear();
        serializer::<Json>().encode_error(&Error::new("", "m"), &mut out);
        assert_eq!(out, br#"{"msg":"m"}"#);
        out.clear();
        // The worked example of the client protocol: `0a07 PIT-404 1202 nf 1a06 0a016b 120176`.
        serializer::<Protobuf>().encode_error(&error, &mut out);
        assert_eq!(out, b"\x0a\x07PIT-404\x12\x02nf\x1a\x06\x0a\x01k\x12\x01v");
    }
}
