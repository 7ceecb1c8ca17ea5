//! What bodies mean: codecs, and the two traits a payload and an answer need.
//!
//! A codec is a *type*, so that the compiler checks at the parameter that a payload can be read with it. A block of
//! handlers names one codec or several (`codec(Json, Protobuf)`); which one an app speaks is chosen when the block is
//! mounted, as a number into the tuple.

mod answers;
mod blame;
mod json;
mod protobuf;
mod raw;
mod serializer;
mod set;

#[doc(hidden)]
pub use answers::{Answers, Nullable, ReadsAnswer, Whole};
#[doc(hidden)]
pub use blame::{Anything, Blaming, Payload, Reply, Row, Set, Stub, Unknown};
pub use json::{GoJson, Json, StrictJson};
pub use protobuf::Protobuf;
pub use raw::Raw;
pub use serializer::{Serializer, serializer};
#[doc(hidden)]
pub use set::Known;
pub use set::{Codecs, Reads, Writes};

use crate::error::{Error, Result};

/// A way to write bodies, known to clients by its name in the handshake.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a serializer",
    label = "expected `Json`, `Protobuf` or a type that implements `Codec`",
    note = "for a serializer of your own implement `Codec` and `SerdeCodec`"
)]
pub trait Codec: Send + Sync + 'static {
    /// The name that the handshake announces as `sys.serializer`.
    const NAME: &'static str;

    /// That it is a codec: see [`Known`].
    #[doc(hidden)]
    const KNOWN: bool = true;

    /// Writes the body of an error answer. The default is JSON, in the form of
    /// [`Json`](Json#method.encode_error): `{"code":"…","msg":"…","metadata":{…}}`.
    fn encode_error(error: &Error, out: &mut Vec<u8>) {
        json::encode_error(error, out);
    }

    /// The codec's way to say *nothing*, which a client cannot tell from a missing answer, if it has one.
    #[doc(hidden)]
    const NULL: Option<&'static [u8]> = None;

    /// What `()` is written as, where the codec's own way would be null.
    #[doc(hidden)]
    const UNIT: &'static [u8] = b"";
}

/// A codec that reads and writes everything `serde` can: implement this for your own.
///
/// A codec that is not built on serde implements [`Decode`] and [`Encode`] for the types it knows instead.
///
/// ```
/// use pitaya_core::{Codec, Json, Result, SerdeCodec};
///
/// /// JSON in capitals.
/// struct Loud;
/// impl Codec for Loud {
///     const NAME: &'static str = "loud";
/// }
/// impl SerdeCodec for Loud {
///     fn from_slice<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
///         Json::from_slice(&body.to_ascii_lowercase())
///     }
///     fn to_vec<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
///         let at = out.len();
///         Json::to_vec(value, out)?;
///         Ok(out[at..].make_ascii_uppercase())
///     }
/// }
/// ```
pub trait SerdeCodec: Codec {
    /// Reads a value from a whole body.
    ///
    /// # Errors
    /// When the body is not such a value; without a code of its own the client gets PIT-400.
    fn from_slice<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T>;

    /// Appends the value to `out`.
    ///
    /// # Errors
    /// When the value cannot be written.
    fn to_vec<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()>;
}

/// A payload: can be read from a body written with the codec `C`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a message with the `{C}` serializer",
    label = "not a valid payload for `{C}`",
    note = "for `Json` add `#[derive(serde::Deserialize)]`, for `Protobuf` `#[derive(prost::Message)]`; `Raw` takes the bytes untouched",
    note = "handlers speak `Json` unless they say otherwise, remotes `Protobuf`: `#[remote(codec = Json)]` changes that",
    note = "an owned argument is the message's payload; what the framework lends is borrowed: `&{Self}`"
)]
pub trait Decode<C>: Sized {
    /// Reads the whole body.
    ///
    /// # Errors
    /// When the body is not such a value.
    fn decode(body: &[u8]) -> Result<Self>;

    /// Like [`decode`](Self::decode) for an answer, as [`Encode::answer`] writes it.
    ///
    /// # Errors
    /// When the body is not such a value.
    fn read_answer(body: &[u8]) -> Result<Self> {
        Self::decode(body)
    }
}

/// An answer or a push: can be written with the codec `C`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written with the `{C}` serializer",
    label = "not a valid answer or argument for `{C}`",
    note = "for `Json` add `#[derive(serde::Serialize)]`, for `Protobuf` `#[derive(prost::Message)]`; `Raw` is sent untouched",
    note = "handlers speak `Json` unless they say otherwise, remotes `Protobuf`: `#[remote(codec = Json)]` changes that"
)]
pub trait Encode<C> {
    /// Whether what is written are bytes of the application's own, which no client gets in another form.
    #[doc(hidden)]
    const VERBATIM: bool = false;

    /// Appends the value to `out`.
    ///
    /// # Errors
    /// When the value cannot be written.
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;

    /// Like [`encode`](Self::encode) for an answer. A type without a value (`()`) becomes the codec's empty value where
    /// the codec would write null; `None` is null.
    ///
    /// # Errors
    /// When the value cannot be written.
    fn answer(&self, out: &mut Vec<u8>) -> Result<()> {
        self.encode(out)
    }
}

#[diagnostic::do_not_recommend]
impl<C: SerdeCodec, T: serde::de::DeserializeOwned> Decode<C> for T {
    #[inline]
    fn decode(body: &[u8]) -> Result<Self> {
        C::from_slice(body)
    }

    /// A type without a value was written as the codec's empty value where the codec would have said null.
    fn read_answer(body: &[u8]) -> Result<Self> {
        match C::NULL {
            Some(null) if size_of::<Self>() == 0 && body == C::UNIT => {
                C::from_slice(null).or_else(|_| C::from_slice(body))
            }
            _ => C::from_slice(body),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<C: SerdeCodec, T: serde::Serialize + ?Sized> Encode<C> for T {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        C::to_vec(self, out)
    }

    #[inline]
    fn answer(&self, out: &mut Vec<u8>) -> Result<()> {
        let at = out.len();
        C::to_vec(self, out)?;
        if size_of_val(self) == 0 && C::NULL == Some(&out[at..]) {
            out.truncate(at);
            out.extend_from_slice(C::UNIT);
        }
        Ok(())
    }
}
