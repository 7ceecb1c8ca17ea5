//! `T` or `Result<T, E>`: what a method returned, told apart by its type, so that aliases work.

use crate::codec::Answers;
use crate::error::{IntoError, Result};

/// An answer and the way to write it. The bound on the answer is checked where the return type is; here it is a
/// function.
pub struct Answer<T> {
    value: T,
    write: fn(usize, &T, &mut Vec<u8>) -> Result<()>,
}

impl<T> Answer<T> {
    #[inline]
    pub(crate) fn write(&self, codec: usize, out: &mut Vec<u8>) -> Result<()> {
        (self.write)(codec, &self.value, out)
    }
}

impl<T> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}

/// The answer of a notify.
const SILENT: Answer<()> = Answer { value: (), write: |_, (), _| Ok(()) };

/// What a method returned.
///
/// The inherent methods on `Returned<Result<..>>` win over those of [`Plain`] on `Returned<anything>`: that is how a
/// `Result` is recognised behind any alias. The bound on `E` sits on the method and not on the impl, or a bad `E` would
/// silently fall back to `Plain`.
#[derive(Debug)]
pub struct Returned<R>(pub R);

impl<T, E> Returned<std::result::Result<T, E>> {
    /// The result of a request.
    ///
    /// # Errors
    /// The method's own, converted.
    #[inline]
    pub fn done<Cs: Answers<T, Form>, Form>(self) -> Result<Answer<T>>
    where
        E: IntoError,
    {
        self.0.map(|value| Answer { value, write: Cs::answer }).map_err(IntoError::into_error)
    }

    /// The result of a notify or a hook.
    ///
    /// # Errors
    /// The method's own, converted.
    #[inline]
    pub fn silent(self) -> Result<Answer<()>>
    where
        E: IntoError,
        T: Nothing,
    {
        self.0.map(|_| SILENT).map_err(IntoError::into_error)
    }
}

/// What is returned without a `Result` around it.
pub trait Plain {
    /// The value.
    type T;

    /// The result of a request.
    ///
    /// # Errors
    /// Never.
    fn done<Cs: Answers<Self::T, Form>, Form>(self) -> Result<Answer<Self::T>>;

    /// The result of a notify or a hook.
    ///
    /// # Errors
    /// Never.
    fn silent(self) -> Result<Answer<()>>
    where
        Self::T: Nothing;
}

impl<T> Plain for Returned<T> {
    type T = T;

    #[inline]
    fn done<Cs: Answers<T, Form>, Form>(self) -> Result<Answer<T>> {
        Ok(Answer { value: self.0, write: Cs::answer })
    }

    #[inline]
    fn silent(self) -> Result<Answer<()>>
    where
        T: Nothing,
    {
        Ok(SILENT)
    }
}

/// The value of what answers nobody.
#[diagnostic::on_unimplemented(
    message = "there is nobody to send `{Self}` to",
    label = "a notify or a hook returns nothing, or a `Result<(), E>`",
    note = "drop the value; or, to answer a request with it, drop `notify`"
)]
pub trait Nothing {}
#[diagnostic::do_not_recommend]
impl Nothing for () {}
