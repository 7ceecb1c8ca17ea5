//! The variable-length number of a message id: seven bits a byte, low bits first, the top bit says that more follow.

/// The most bytes a number of 64 bits takes.
pub const MAX_BYTES: usize = 10;

/// Why bytes are no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end while the last one announces another.
    #[error("the number is cut off after {0} bytes")]
    Unterminated(usize),
    /// More than ten bytes or more than 64 bits. Go drops the excess and goes on with a wrong number.
    #[error("the number has more than 64 bits")]
    TooLong,
}

/// Reads the number at the start of `bytes` and says how many bytes it took.
///
/// Forms longer than necessary (`80 00` for 0) are accepted up to ten bytes, as Go does.
///
/// # Errors
/// [`VarintError`], see there.
///
/// ```
/// use pitaya_core::wire::varint;
///
/// assert_eq!(varint::decode(&[0xac, 0x02, 0xff]), Ok((300, 2)));
/// ```
#[inline]
pub fn decode(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    // The ids of a client that counts its requests.
    match *bytes {
        [low, ..] if low < 0x80 => Ok((low.into(), 1)),
        [low, high, ..] if high < 0x80 => Ok((u64::from(low & 0x7f) | u64::from(high) << 7, 2)),
        _ => decode_long(bytes),
    }
}

#[inline(never)]
fn decode_long(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        // Nine bytes hold 63 bits: the tenth may add one.
        if index == MAX_BYTES - 1 && byte > 1 {
            return Err(VarintError::TooLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(VarintError::Unterminated(bytes.len()))
}

/// Appends `value` to `out` in as few bytes as it takes.
#[inline(always)]
pub fn encode(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x80 => out.push(value as u8),
        // At once: each push looks whether there is room.
        0x80..0x4000 => out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]),
        _ => encode_long(value, out),
    }
}

#[inline(never)]
fn encode_long(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out);
        out
    }

    #[test]
    fn the_table_of_the_protocol() {
        let table: [(u64, &[u8]); 9] = [
            (0, &[0]),
            (1, &[1]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (129, &[0x81, 1]),
            (300, &[0xac, 2]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 1]),
            (u64::from(u32::MAX), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, wanted) in table {
            assert_eq!(bytes(value), wanted);
            assert_eq!(decode(wanted), Ok((value, wanted.len())));
        }
    }

    #[test]
    fn each_boundary_of_seven_bits() {
        for bits in (0..64).step_by(7) {
            for value in [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                assert_eq!(decode(&bytes(value)), Ok((value, bytes(value).len())));
            }
        }
        assert_eq!(bytes(u64::MAX), [[0xff; 9].as_slice(), &[1]].concat());
        assert_eq!(decode(&bytes(u64::MAX)), Ok((u64::MAX, MAX_BYTES)));
    }

    #[test]
    fn padded_forms_are_read_up_to_ten_bytes() {
        assert_eq!(decode(&[0x80, 0]), Ok((0, 2)));
        assert_eq!(decode(&[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Ok((1, 10)));
        assert_eq!(decode(&[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(VarintError::TooLong));
    }

    #[test]
    fn what_is_no_number() {
        assert_eq!(decode(&[]), Err(VarintError::Unterminated(0)));
        for length in 1..MAX_BYTES {
            assert_eq!(decode(&[0xff; MAX_BYTES][..length]), Err(VarintError::Unterminated(length)));
        }
        assert_eq!(decode(&[0xff; 10]), Err(VarintError::TooLong));
        assert_eq!(decode(&[0xff; 11]), Err(VarintError::TooLong));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(VarintError::TooLong));
    }
}
