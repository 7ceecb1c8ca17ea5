//! Answers of a set of codecs: a value, or none.

use super::{Codecs, Decode, Encode, Protobuf, Reads, SerdeCodec, Writes};
use crate::error::{Error, Result};
use bytes::Bytes;

/// A set whose every codec can answer with a `T`.
///
/// `Form` follows from `T`: [`Whole`] for what the codecs write themselves, [`Nullable`] for the `Option` of a message of
/// protobuf, which has no way to write `None`. Two implementations for one `T` are possible because they differ in it.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be answered with the serializers `{Self}`",
    label = "not a valid answer",
    note = "for `Json` add `#[derive(serde::Serialize)]`, for `Protobuf` `#[derive(prost::Message)]`; `Raw` is sent untouched",
    note = "handlers speak `Json` unless they say otherwise, remotes `Protobuf`: `#[remote(codec = Json)]` changes that"
)]
pub trait Answers<T, Form>: Codecs {
    /// Appends the answer with the codec at place `codec` of the set.
    ///
    /// # Errors
    /// PIT-000 `reply must not be null` for `None` in protobuf; when the codec cannot write the value.
    fn answer(codec: usize, value: &T, out: &mut Vec<u8>) -> Result<()>;
}

/// A set whose first codec can read the answers that it writes, in a stub.
pub trait ReadsAnswer<T, Form>: Codecs {
    /// Reads what a call came to. The error of a call stays as it is; `unreadable` makes one of a body.
    ///
    /// # Errors
    /// That of the call, or of a body that is no `T`.
    fn answered(called: Result<Bytes>, unreadable: impl FnOnce(Error) -> Error) -> Result<T>;
}

/// The codecs write the value as it is.
#[derive(Debug)]
pub enum Whole {}

/// `None` is an error where the codec is protobuf.
#[derive(Debug)]
pub enum Nullable {}

// The error is about the value: this implementation is shown as the way to it.
impl<T, Cs: Writes<T>> Answers<T, Whole> for Cs {
    #[inline]
    fn answer(codec: usize, value: &T, out: &mut Vec<u8>) -> Result<()> {
        <Cs as Writes<T>>::answer(codec, value, out)
    }
}

impl<T, Cs: Reads<T>> ReadsAnswer<T, Whole> for Cs {
    fn answered(called: Result<Bytes>, unreadable: impl FnOnce(Error) -> Error) -> Result<T> {
        Cs::read_answer(&called?).map_err(unreadable)
    }
}

#[diagnostic::do_not_recommend]
impl<T> ReadsAnswer<Option<T>, Nullable> for (Protobuf,)
where
    T: Decode<Protobuf>,
{
    fn answered(called: Result<Bytes>, unreadable: impl FnOnce(Error) -> Error) -> Result<Option<T>> {
        match called {
            Ok(body) => T::decode(&body).map(Some).map_err(unreadable),
            Err(error) if error == Error::null_reply() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn message<T: Encode<Protobuf>>(value: &Option<T>, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Some(value) => Encode::<Protobuf>::answer(value, out),
        None => Err(Error::null_reply()),
    }
}

fn written<C: SerdeCodec, T: serde::Serialize>(value: &Option<T>, out: &mut Vec<u8>) -> Result<()> {
    <Option<T> as Encode<C>>::answer(value, out)
}

/// The sets with protobuf in them; the others, whose codecs are serde's, write `None` themselves.
macro_rules! nullable {
    ($([$($bounds:tt)*] [$($other:ident),*] $set:ty: $($n:literal $write:expr),+;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<T, $($other: SerdeCodec),*> Answers<Option<T>, Nullable> for $set
        where
            T: Encode<Protobuf> $($bounds)*,
        {
            #[inline]
            fn answer(codec: usize, value: &Option<T>, out: &mut Vec<u8>) -> Result<()> {
                match codec {
                    $($n => $write(value, out),)+
                    _ => Err(Error::internal(format!("codec number {codec} of {:?}", Self::NAMES))),
                }
            }
        }
    )* };
}

nullable! {
    [] [] (Protobuf,): 0 message;
    [+ serde::Serialize] [C] (C, Protobuf): 0 written::<C, T>, 1 message;
    [+ serde::Serialize] [C] (Protobuf, C): 0 message, 1 written::<C, T>;
    [+ serde::Serialize] [C, D] (C, D, Protobuf): 0 written::<C, T>, 1 written::<D, T>, 2 message;
    [+ serde::Serialize] [C, D] (C, Protobuf, D): 0 written::<C, T>, 1 message, 2 written::<D, T>;
    [+ serde::Serialize] [C, D] (Protobuf, C, D): 0 message, 1 written::<C, T>, 2 written::<D, T>;
}

#[cfg(test)]
mod tests {
    use super::super::Json;
    use super::*;

    #[derive(Clone, PartialEq, prost::Message, serde::Serialize)]
    struct Seat {
        #[prost(uint32, tag = "1")]
        row: u32,
    }

    fn answer<Cs: Answers<T, Form>, T, Form>(codec: usize, value: &T) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Cs::answer(codec, value, &mut out).map(|()| out)
    }

    #[test]
    fn none_is_null_in_json_and_an_error_in_protobuf() {
        let (seat, none) = (Some(Seat { row: 7 }), None::<Seat>);
        assert_eq!(answer::<(Json,), _, _>(0, &none), Ok(b"null".to_vec()));
        assert_eq!(answer::<(Json,), _, _>(0, &seat), Ok(br#"{"row":7}"#.to_vec()));
        assert_eq!(answer::<(Protobuf,), _, _>(0, &none), Err(Error::null_reply()));
        assert_eq!(answer::<(Protobuf,), _, _>(0, &seat), Ok(vec![8, 7]));
        for (json, protobuf) in [(0, 1), (1, 0)] {
            let both = |codec, value| match json {
                0 => answer::<(Json, Protobuf), _, _>(codec, value),
                _ => answer::<(Protobuf, Json), _, _>(codec, value),
            };
            assert_eq!(both(json, &none), Ok(b"null".to_vec()));
            assert_eq!(both(protobuf, &none), Err(Error::null_reply()));
            assert_eq!(both(protobuf, &seat), Ok(vec![8, 7]));
        }
        assert_eq!(answer::<(Protobuf, Json), _, _>(2, &none).unwrap_err().code(), "PIT-500");
    }

    #[test]
    fn a_stub_reads_none_from_the_error() {
        fn read<Cs: ReadsAnswer<T, Form>, T, Form>(called: Result<Bytes>) -> Result<T> {
            Cs::answered(called, |error| error)
        }
        assert_eq!(read::<(Protobuf,), Option<Seat>, _>(Err(Error::null_reply())), Ok(None));
        assert_eq!(read::<(Protobuf,), Option<Seat>, _>(Ok(Bytes::from_static(&[8, 7]))), Ok(Some(Seat { row: 7 })));
        assert_eq!(read::<(Protobuf,), Option<Seat>, _>(Err(Error::closed())), Err(Error::closed()));
        assert_eq!(read::<(Protobuf,), Seat, _>(Err(Error::null_reply())), Err(Error::null_reply()));
    }
}
