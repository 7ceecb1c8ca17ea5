//! Whether two short texts are the same, one for each message.

/// `a == b`, for texts that are often empty.
///
/// An empty slice may lie at an address without memory, and the comparison of the C library touches that address with a
/// masked load even where there is nothing to compare. Processors answer that with an assist that takes as long as half
/// a message.
#[doc(hidden)]
#[inline]
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}
