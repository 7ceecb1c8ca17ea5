//! Error types that say their own code: the trait [`Fault`], and the rows by which a converted error finds it.

use super::Error;
use crate::cluster::GroupError;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Display;
use std::marker::PhantomData;

/// An error type that says what a client gets: a code, a message, and optional metadata.
///
/// `#[derive(Fault)]` implements it for structs and enums, whether or not they implement `std::error::Error`, and makes
/// `?` convert them into an [`Error`] with that code. A type that implements this trait by hand converts with
/// [`Error::from_fault`]; `?` knows it only by a `From<TheType> for Error` of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says no code",
    label = "not a `Fault`",
    note = "add `#[derive(pitaya_runtime::Fault)]` and write its code: `#[fault(code = \"GAME-1\")]`"
)]
pub trait Fault {
    /// The code that clients act on, such as `GAME-12`.
    fn code(&self) -> Cow<'static, str>;

    /// The text for people.
    fn message(&self) -> Cow<'static, str>;

    /// Details by key; the client gets each as `metadata.key`.
    fn metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

impl Error {
    /// Converts a [`Fault`]: its code, its message and its metadata.
    pub fn from_fault(fault: &(impl Fault + ?Sized)) -> Self {
        let mut error = Self::new(fault.code(), fault.message());
        error.0.metadata = fault.metadata();
        error
    }
}

/// Reads the code of one type that implements `std::error::Error`; none for any other type.
pub type Find = fn(&(dyn StdError + 'static)) -> Option<Error>;

/// The row of one error type, submitted by `#[derive(Fault)]`.
///
/// A type that implements `std::error::Error` is converted by the blanket `From` of [`Error`], which knows nothing of
/// [`Fault`]: the language has no second, more special implementation. The row is the way back to the code.
#[derive(Debug)]
pub struct FaultRow(pub Find);

inventory::collect!(FaultRow);

/// The error of a type with a row. One comparison of type ids for each row that is linked into the program, on the error
/// path only.
#[cold]
pub(super) fn find(error: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(group) = error.downcast_ref::<GroupError>() {
        return Some(Error::from_fault(group));
    }
    inventory::iter::<FaultRow>.into_iter().find_map(|row| (row.0)(error))
}

/// Asks while compiling whether `T` implements `std::error::Error`: if so, these constants hide those of [`NotStd`].
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

impl<T: Fault + StdError + 'static> Probe<T> {
    /// `T` is converted by the blanket `From`.
    pub const STD: bool = true;
    /// Its row.
    pub const FIND: Find = |error| error.downcast_ref::<T>().map(|fault| Error::from_fault(fault));
}

/// The constants of [`Probe`] for all other types.
pub trait NotStd {
    /// `T` needs a `From` of its own.
    const STD: bool = false;
    /// No error of `std` has this type.
    const FIND: Find = |_| None;
}

impl<T> NotStd for Probe<T> {}

/// Names the type that a `From` of `#[derive(Fault)]` is for: [`Error`], or, where the blanket `From` has the error type
/// already, a type that nobody sees.
pub trait Converts {
    /// The type that is made.
    type Made;

    /// Makes one of the error.
    fn convert(error: Error) -> Self::Made;
}

/// The text of an error without a `message` in its attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no text for people",
    label = "this error type does not implement `Display`",
    note = "write `#[fault(code = \"..\", message = \"..\")]`, implement `std::fmt::Display`, or derive `thiserror::Error` too"
)]
pub trait Text {
    /// The text.
    fn text(&self) -> Cow<'static, str>;
}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> Text for T {
    fn text(&self) -> Cow<'static, str> {
        Cow::Owned(self.to_string())
    }
}

/// The text of a field with `#[fault(metadata)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be metadata of an error",
    label = "this field does not implement `Display`",
    note = "metadata are texts: implement `std::fmt::Display` for `{Self}`, or take `#[fault(metadata)]` off the field"
)]
pub trait MetadataValue {
    /// The text.
    fn metadata_text(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> MetadataValue for T {
    fn metadata_text(&self) -> String {
        self.to_string()
    }
}

/// The metadata of an error, from its fields.
#[must_use]
pub fn metadata<const N: usize>(fields: [(&'static str, String); N]) -> BTreeMap<String, String> {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The error type of a method: whatever converts into [`Error`].
///
/// It stands in front of `Into<Error>` only so that the compiler prints our words when it is missing. Each of its notes
/// compiles for the types it names; `From<TheirType> for Error` would not, for the orphan rule forbids it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become a `pitaya_runtime::Error`",
    label = "this error type cannot be answered to a client",
    note = "a type of your own: add `#[derive(pitaya_runtime::Fault)]` and write its code, `#[fault(code = \"GAME-1\")]`",
    note = "`anyhow::Error` or a boxed error: return `pitaya_runtime::Result<T>` and write `.map_err(pitaya_runtime::Error::boxed)?`",
    note = "a text: return `pitaya_runtime::Result<T>` and write `Err(pitaya_runtime::Error::new(\"GAME-1\", text))`"
)]
pub trait IntoError {
    /// The error a client gets.
    fn into_error(self) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> IntoError for E {
    fn into_error(self) -> Error {
        self.into()
    }
}
