//! Payloads that check themselves, with the `garde` crate (feature `validation`).

use garde::Validate;
use pitaya_core::pipeline::Before;
use pitaya_core::{Error, Result};
use std::any::{Any, TypeId};
use std::collections::HashMap;

/// A step that validates payloads before their method runs. A payload that does not hold is answered PIT-400 with what
/// is wrong, field by field; types that are not named here pass.
///
/// It is what `pitaya.defaultpipelines.structvalidation.enabled` is in Go, where reflection finds the types.
///
/// ```
/// use garde::Validate;
/// use pitaya_runtime::prelude::*;
/// use pitaya_runtime::validation::Validation;
///
/// #[derive(serde::Deserialize, Validate)]
/// struct Say {
///     #[garde(length(min = 1, max = 500))]
///     text: String,
/// }
///
/// let validation = Validation::new().of::<Say>();
/// let builder = Builder::new("chat").before(validation.clone()).before_remote(validation);
/// # let _ = builder;
/// ```
#[derive(Default, Clone)]
#[must_use]
pub struct Validation(HashMap<TypeId, Check>);

type Check = fn(&dyn Any) -> Result<()>;

impl Validation {
    /// A step that checks nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks payloads of this type.
    pub fn of<T: Validate<Context = ()> + 'static>(mut self) -> Self {
        self.0.insert(TypeId::of::<T>(), |payload| match payload.downcast_ref::<T>().map(Validate::validate) {
            Some(Err(report)) => Err(Error::bad_request(report.to_string().trim_end().to_owned())),
            _ => Ok(()),
        });
        self
    }
}

/// Of handlers as of remotes.
impl<X> Before<X> for Validation {
    fn before(&self, _: &mut X, payload: &mut (dyn Any + Send)) -> Result<()> {
        let payload: &dyn Any = payload;
        self.0.get(&payload.type_id()).map_or(Ok(()), |check| check(payload))
    }
}

impl std::fmt::Debug for Validation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validation").field("types", &self.0.len()).finish()
    }
}
