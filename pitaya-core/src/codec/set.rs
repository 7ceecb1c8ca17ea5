//! Several codecs as one type: `(Json, Protobuf)`.
//!
//! The bounds are written on the *set* (`Set: Reads<Join>`), not on the payload: rustc then reports the leaf, so that
//! the user reads "`Join` cannot be read from a message with the `Protobuf` serializer", once.

use super::{Codec, Decode, Encode};
use crate::error::{Error, Result, codes};

/// A tuple of one to three codecs.
pub trait Codecs: 'static {
    /// The names, in the order of the tuple.
    const NAMES: &'static [&'static str];

    /// The place of the codec called `name`, if the set has it.
    #[must_use]
    fn position(name: &str) -> Option<usize> {
        Self::NAMES.iter().position(|known| *known == name)
    }
}

/// The set itself, written `Known<(C,), { <C as Codec>::KNOWN }>`. Where `C` is no codec, that constant is the one error:
/// the compiler asks nothing more of a type that it could not compute, and so no payload or answer is blamed.
#[doc(hidden)]
pub type Known<Set, const KNOWN: bool> = <Is<KNOWN> as Choose>::This<Set>;

#[doc(hidden)]
#[derive(Debug)]
pub struct Is<const KNOWN: bool>;

#[doc(hidden)]
pub trait Choose {
    type This<Set>;
}

impl Choose for Is<true> {
    type This<Set> = Set;
}

/// A set whose every codec can read `P`.
pub trait Reads<P>: Codecs {
    /// Reads `body` with the codec at place `codec` of the set.
    ///
    /// # Errors
    /// PIT-400 unless the codec gave a code of its own.
    fn read(codec: usize, body: &[u8]) -> Result<P>;

    /// Reads an answer with the first codec of the set.
    ///
    /// # Errors
    /// When the body is not such a value.
    fn read_answer(body: &[u8]) -> Result<P>;
}

/// A set whose every codec can write `T`.
pub trait Writes<T: ?Sized>: Codecs {
    /// Whether the value's bytes are the application's own: see [`Encode::VERBATIM`].
    #[doc(hidden)]
    const VERBATIM: bool;

    /// Appends `value` with the codec at place `codec` of the set.
    ///
    /// # Errors
    /// When the codec cannot write the value.
    fn write(codec: usize, value: &T, out: &mut Vec<u8>) -> Result<()>;

    /// Like [`write`](Self::write) for an answer: see [`Encode::answer`].
    ///
    /// # Errors
    /// When the codec cannot write the value.
    fn answer(codec: usize, value: &T, out: &mut Vec<u8>) -> Result<()>;
}

#[cold]
fn no_codec(codec: usize, names: &[&str]) -> Error {
    Error::internal(format!("codec number {codec} of {names:?}"))
}

macro_rules! sets {
    ($($($n:literal $C:ident),+;)*) => { $(
        impl<$($C: Codec),+> Codecs for ($($C,)+) {
            const NAMES: &'static [&'static str] = &[$($C::NAME),+];
        }
        impl<P: $(Decode<$C> +)+, $($C: Codec),+> Reads<P> for ($($C,)+) {
            #[inline]
            fn read(codec: usize, body: &[u8]) -> Result<P> {
                match codec {
                    $($n => <P as Decode<$C>>::decode(body),)+
                    _ => Err(no_codec(codec, Self::NAMES)),
                }
                .map_err(|e| e.or_code(codes::BAD_REQUEST))
            }
            fn read_answer(body: &[u8]) -> Result<P> {
                <P as Decode<A>>::read_answer(body)
            }
        }
        impl<T: $(Encode<$C> +)+ ?Sized, $($C: Codec),+> Writes<T> for ($($C,)+) {
            const VERBATIM: bool = <T as Encode<A>>::VERBATIM;

            #[inline]
            fn write(codec: usize, value: &T, out: &mut Vec<u8>) -> Result<()> {
                match codec {
                    $($n => <T as Encode<$C>>::encode(value, out),)+
                    _ => Err(no_codec(codec, Self::NAMES)),
                }
            }
            #[inline]
            fn answer(codec: usize, value: &T, out: &mut Vec<u8>) -> Result<()> {
                match codec {
                    $($n => <T as Encode<$C>>::answer(value, out),)+
                    _ => Err(no_codec(codec, Self::NAMES)),
                }
            }
        }
    )* };
}

sets! {
    0 A;
    0 A, 1 B;
    0 A, 1 B, 2 D;
}

#[cfg(test)]
mod tests {
    use super::super::{Json, Protobuf, Raw};
    use super::*;

    fn answer<T>(value: &T) -> Result<Vec<u8>>
    where
        (Json,): Writes<T>,
    {
        let mut out = Vec::new();
        <(Json,)>::answer(0, value, &mut out).map(|()| out)
    }

    #[test]
    fn unit_is_an_empty_object_and_none_is_null() {
        assert_eq!(answer(&()).unwrap(), b"{}");
        assert_eq!(answer(&Some(1)).unwrap(), b"1");
        assert_eq!(answer(&None::<u32>).unwrap(), b"null");
        assert_eq!(answer(&Raw::from("null")).unwrap(), b"null");
        assert_eq!(<(Json,) as Reads<()>>::read_answer(b"{}"), Ok(()), "what `()` is answered as is read as `()`");
        assert_eq!(<(Json,) as Reads<()>>::read_answer(b"null"), Ok(()));
        assert!(<(Json,) as Reads<()>>::read_answer(b"1").is_err());
        let mut out = vec![];
        <(Protobuf,)>::answer(0, &(), &mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn a_set_knows_its_names_and_refuses_other_numbers() {
        assert_eq!(<(Json, Protobuf)>::position("protobuf"), Some(1));
        assert_eq!(<(Json,)>::position("protobuf"), None);
        assert_eq!(<(Json,) as Reads<u8>>::read(3, b"1").unwrap_err().code(), "PIT-500");
        assert_eq!(<(Json,) as Reads<u8>>::read(0, b"x").unwrap_err().code(), "PIT-400");
    }
}
