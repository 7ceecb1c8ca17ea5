//! Bytes that no codec touches.

use super::{Decode, Encode};
use crate::error::Result;
use bytes::Bytes;

/// The body as it is, under every codec: as a payload the bytes of the client, as an answer the bytes it gets.
///
/// ```
/// use pitaya_core::Raw;
///
/// let echo = |raw: Raw| raw;
/// assert_eq!(&echo(Raw::from("hello")).0[..], b"hello");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Bytes);

impl<T: Into<Bytes>> From<T> for Raw {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl<C> Decode<C> for Raw {
    #[inline]
    fn decode(body: &[u8]) -> Result<Self> {
        Ok(Self(Bytes::copy_from_slice(body)))
    }
}

impl<C> Encode<C> for Raw {
    const VERBATIM: bool = true;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}
