//! What one who waits is known by.

use async_nats::Subject;
use pitaya_core::cluster::lane::Number;

/// One who waits: place (32 bits) and which of those that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Key(u64);

impl Key {
    pub(super) const fn new(place: u32, generation: u32) -> Self {
        Self((place as u64) << 32 | generation as u64)
    }

    pub(super) const fn place(self) -> usize {
        (self.0 >> 32) as usize
    }

    pub(super) const fn generation(self) -> u32 {
        self.0 as u32
    }

    /// As the number of a call in a bundle. Never 0: generations begin with 1, and go round past 0.
    pub(in super::super) const fn number(self) -> Number {
        Number(self.0)
    }

    /// Whose answer this is.
    pub(in super::super) const fn of(number: Number) -> Self {
        Self(number.0)
    }

    /// Below a prefix, as a subject. It has the length of its bytes: the library need not take another look at them.
    pub(in super::super) fn below(self, prefix: &str) -> Subject {
        let digits = (u64::BITS - self.0.leading_zeros()).div_ceil(4).max(1);
        let mut subject = String::with_capacity(prefix.len() + digits as usize);
        subject.push_str(prefix);
        for digit in (0..digits).rev() {
            subject.extend(char::from_digit((self.0 >> (4 * digit)) as u32 & 0xf, 16));
        }
        subject.into()
    }

    pub(in super::super) fn parse(token: &str) -> Option<Self> {
        u64::from_str_radix(token, 16).ok().map(Self)
    }
}
