//! The fields of protobuf messages, without a copy.

use super::Malformed;
use crate::wire::varint;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A varint, a fixed32 or a fixed64.
    Number(u64),
    /// Bytes, a text or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message: the tag (number and wire type) and the value of each. Ends after the first that cannot be
/// read.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// How many bytes have not been read.
    pub(super) fn rest(&self) -> usize {
        self.0.len()
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        // Most numbers take one byte.
        if let [byte @ ..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        let (value, length) = varint::decode(self.0).map_err(|_| Malformed)?;
        self.0 = &self.0[length..];
        Ok(value)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed(&mut self, length: usize) -> Result<u64, Malformed> {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(self.take(length as u64)?);
        Ok(u64::from_le_bytes(bytes))
    }

    #[inline]
    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(self.fixed(8)?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Number(self.fixed(4)?),
            _ => return Err(Malformed),
        };
        Ok((tag, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// How many bytes a number takes.
#[inline]
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// How many bytes a field of bytes takes, with a tag of one byte. Nothing is written for nothing, as proto3 has it.
#[inline]
pub(super) fn bytes_len(length: usize) -> usize {
    if length == 0 { 0 } else { 1 + varint_len(length as u64) + length }
}

#[inline]
pub(super) fn put_bytes(tag: u64, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        varint::encode(tag, out);
        varint::encode(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

#[inline]
pub(super) fn put_number(tag: u64, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        varint::encode(tag, out);
        varint::encode(value, out);
    }
}
