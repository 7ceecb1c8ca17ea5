//! Errors without a type: into an [`Error`] by [`Error::boxed`], and back by `From`.

use super::{Error, codes, fault};
use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

/// The longest chain of causes that is searched for a code. A chain is the work of whoever wrote the error, and might
/// lead in a circle.
const LONGEST_CHAIN: usize = 64;

impl Error {
    /// Converts boxed errors, and with the feature `anyhow` those of that crate: `.map_err(Error::boxed)?`.
    ///
    /// These types do not implement `std::error::Error`, and no `From` for them can be written beside that of the errors
    /// that do. The code is that of the first error in the chain of causes that says one: a [`Fault`](super::Fault), or
    /// an [`Error`] that was boxed. Without one it is [`codes::UNKNOWN`], with the text of the outermost error.
    ///
    /// ```
    /// use pitaya_core::{Error, Result};
    ///
    /// fn load(id: u32) -> std::result::Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    ///     if id == 0 {
    ///         return Err(Error::new("GAME-3", "no such profile").into());
    ///     }
    ///     Ok("7".parse()?)
    /// }
    ///
    /// fn handler(id: u32) -> Result<u32> {
    ///     Ok(load(id).map_err(Error::boxed)?)
    /// }
    /// assert_eq!(handler(1), Ok(7));
    /// assert_eq!(handler(0).unwrap_err().code(), "GAME-3");
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "`map_err` hands the error over")]
    pub fn boxed<E: Untyped>(error: E) -> Self {
        let outermost = error.outermost();
        let chain = successors(Some(outermost), cause);
        let coded = chain.take(LONGEST_CHAIN).find_map(|error| match error.downcast_ref::<Carried>() {
            Some(Carried(error)) => Some(error.clone()),
            None => fault::find(error),
        });
        coded.unwrap_or_else(|| Self::new(codes::UNKNOWN, outermost.to_string())).caused_by(outermost)
    }

    /// Keeps the texts of a chain of causes, for those who run the server.
    pub(super) fn caused_by(mut self, outermost: &(dyn StdError + 'static)) -> Self {
        if outermost.source().is_some() {
            self.0.chain = Some(texts(outermost).into());
        }
        self
    }
}

/// The texts of a chain, joined by `: `. A cause that the text before it ends with is not said again.
fn texts(outermost: &(dyn StdError + 'static)) -> String {
    let mut all = String::new();
    for error in successors(Some(outermost), cause).take(LONGEST_CHAIN) {
        let text = match error.downcast_ref::<Carried>() {
            Some(Carried(error)) => error.with_causes().to_owned(),
            None => error.to_string(),
        };
        if all.is_empty() {
            all = text;
        } else if !all.ends_with(&*text) {
            all = format!("{all}: {text}");
        }
    }
    all
}

/// An error whose type was forgotten.
#[diagnostic::on_unimplemented(
    message = "`Error::boxed` does not take `{Self}`",
    label = "neither a boxed error nor `anyhow::Error`",
    note = "for `anyhow::Error` write `pitaya-runtime = {{ features = [\"anyhow\"], .. }}`",
    note = "a text has no code either: write `.map_err(|text| Error::new(\"GAME-1\", text))?`",
    note = "an error that implements `std::error::Error` or derives `Fault` needs no adapter: write `?` alone"
)]
pub trait Untyped {
    /// The outermost error of the chain.
    fn outermost(&self) -> &(dyn StdError + 'static);
}

fn cause<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    (*error).source()
}

/// An [`Error`] in a box: it cannot implement `std::error::Error` itself, see there.
struct Carried(Error);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Carried {}

macro_rules! boxes {
    ($($boxed:ty),+) => { $(
        impl Untyped for $boxed {
            fn outermost(&self) -> &(dyn StdError + 'static) {
                &**self
            }
        }

        impl From<Error> for $boxed {
            fn from(error: Error) -> Self {
                Box::new(Carried(error))
            }
        }
    )+ };
}

boxes!(Box<dyn StdError + Send + Sync>, Box<dyn StdError + Send>, Box<dyn StdError>);

#[cfg(feature = "anyhow")]
impl Untyped for anyhow::Error {
    fn outermost(&self) -> &(dyn StdError + 'static) {
        self.as_ref()
    }
}

#[cfg(feature = "anyhow")]
impl From<Error> for anyhow::Error {
    fn from(error: Error) -> Self {
        Self::new(Carried(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Any = Box<dyn StdError + Send + Sync>;

    #[derive(Debug)]
    struct Around(Option<Any>);

    impl fmt::Display for Around {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("while loading")
        }
    }

    impl StdError for Around {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            match &self.0 {
                Some(inner) => Some(&**inner),
                None => Some(self), // a circle
            }
        }
    }

    #[test]
    fn an_error_survives_a_box() {
        let error = Error::new("GAME-3", "gone").with("id", "7");
        assert_eq!(Error::boxed(Any::from(error.clone())), error);
        assert_eq!(Error::boxed(Box::<dyn StdError>::from(error.clone())), error);
        assert_eq!(Error::boxed(Box::<dyn StdError + Send>::from(error.clone())), error);
        let any = Any::from(error.clone());
        assert_eq!((any.to_string(), format!("{any:?}")), (error.to_string(), format!("{error:?}")));
        assert_eq!(Error::boxed(Any::from(Around(Some(any)))), error, "the first code of the chain");
    }

    #[test]
    fn an_error_without_a_code_keeps_its_text() {
        let around = Around(Some(Any::from(fmt::Error)));
        assert_eq!(Error::boxed(Any::from(around)), Error::new(codes::UNKNOWN, "while loading"));
        let around = Error::boxed(Any::from(Around(Some(Any::from(fmt::Error)))));
        assert_eq!(around.with_causes(), format!("while loading: {}", fmt::Error));
        assert_eq!(Error::from(Around(Some(Any::from(fmt::Error)))).with_causes(), around.with_causes());
        let carried = Any::from(Around(Some(Any::from(around.clone()))));
        assert_eq!(Error::boxed(carried).with_causes(), format!("while loading: {}", around.with_causes()));
        assert_eq!(Error::new("GAME-1", "alone").with_causes(), "alone");
        let text: Any = "just a text".into();
        assert_eq!(Error::boxed(text), Error::new(codes::UNKNOWN, "just a text"));
    }

    #[test]
    fn a_chain_that_is_a_circle_ends() {
        let error = Error::boxed(Any::from(Around(None)));
        assert_eq!((error.code(), error.with_causes()), (codes::UNKNOWN, "while loading"));
    }

    #[cfg(feature = "anyhow")]
    #[test]
    fn anyhow_keeps_codes_under_its_contexts() {
        use anyhow::Context;
        let error = Error::new("GAME-3", "gone");
        let wrapped = Err::<(), _>(anyhow::Error::from(error.clone())).context("loading").context("joining");
        let wrapped = Error::boxed(wrapped.unwrap_err());
        assert_eq!((&wrapped, wrapped.with_causes()), (&error, "joining: loading: gone"));
        assert_eq!(Error::boxed(anyhow::anyhow!("no code")), Error::new(codes::UNKNOWN, "no code"));
    }
}
