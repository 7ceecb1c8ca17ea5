//! What runs around a handler.
//!
//! Three stages, each in the order in which its steps were added:
//!
//! 1. [`BeforeRaw`]: on the bytes of the body, before anything is decoded; may be async.
//! 2. [`Before`]: on the decoded payload, just before the method; never async, so that it costs a message nothing.
//! 3. [`After`]: on the encoded answer or on the error, whatever the first two and the method did.
//!
//! An error of the first two stages ends the turn: the method does not run, the third stage does.

use crate::BoxFuture;
use crate::context::{Context, Steps};
use crate::error::Result;
use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;

/// A step on the bytes of a body: decrypt, unpack, look up who is asking.
pub trait BeforeRaw: Send + Sync + 'static {
    /// Gives the bytes that go on, or the error the client gets.
    fn before_raw<'a>(&'a self, cx: &'a mut Context, body: Bytes) -> BoxFuture<'a, Result<Bytes>>;
}

/// A step on the decoded payload: check it, correct it, put something into the context.
///
/// Any `Fn(&mut Context, &mut dyn Any) -> Result<()>` is one; downcast the payload to the type you mean. A route
/// without a payload shows `()`.
///
/// ```
/// use pitaya_core::{Context, Error, Result};
/// use std::any::Any;
///
/// struct Say {
///     text: String,
/// }
/// let short = |_: &mut Context, payload: &mut (dyn Any + Send)| -> Result<()> {
///     match payload.downcast_ref::<Say>() {
///         Some(say) if say.text.len() > 500 => Err(Error::bad_request("at most 500 bytes")),
///         _ => Ok(()),
///     }
/// };
/// fn is_a_step(_: impl pitaya_core::pipeline::Before) {}
/// is_a_step(short);
/// ```
pub trait Before: Send + Sync + 'static {
    /// Looks at the payload and may change it.
    ///
    /// # Errors
    /// The client gets it as the answer; the method does not run.
    fn before(&self, cx: &mut Context, payload: &mut (dyn Any + Send)) -> Result<()>;
}

impl<F> Before for F
where
    F: Fn(&mut Context, &mut (dyn Any + Send)) -> Result<()> + Send + Sync + 'static,
{
    fn before(&self, cx: &mut Context, payload: &mut (dyn Any + Send)) -> Result<()> {
        self(cx, payload)
    }
}

/// The encoded body of an answer, or the error in its place.
pub type Outcome = Result<Vec<u8>>;

/// A step on the outcome: count it, sign it, turn an error into an answer and back.
///
/// Any `Fn(&Context, Outcome) -> Outcome` is one.
pub trait After: Send + Sync + 'static {
    /// Gives the outcome that goes on.
    ///
    /// # Errors
    /// The client gets it as the answer.
    fn after(&self, cx: &Context, outcome: Outcome) -> Outcome;
}

impl<F: Fn(&Context, Outcome) -> Outcome + Send + Sync + 'static> After for F {
    fn after(&self, cx: &Context, outcome: Outcome) -> Outcome {
        self(cx, outcome)
    }
}

/// The steps of an app.
#[derive(Default, Clone)]
pub struct Pipeline {
    raw: Vec<Arc<dyn BeforeRaw>>,
    before: Vec<Arc<dyn Before>>,
    after: Vec<Arc<dyn After>>,
}

impl Pipeline {
    /// Adds a step on bytes, after those already there.
    pub fn push_raw(&mut self, step: impl BeforeRaw) {
        self.raw.push(Arc::new(step));
    }

    /// Adds a step on payloads, after those already there.
    pub fn push_before(&mut self, step: impl Before) {
        self.before.push(Arc::new(step));
    }

    /// Adds a step on outcomes, after those already there.
    pub fn push_after(&mut self, step: impl After) {
        self.after.push(Arc::new(step));
    }

    /// Whether there are steps on bytes.
    #[must_use]
    pub fn has_raw(&self) -> bool {
        !self.raw.is_empty()
    }

    /// Whether there are steps on payloads.
    #[must_use]
    pub fn has_before(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether there are steps on outcomes.
    #[must_use]
    pub fn has_after(&self) -> bool {
        !self.after.is_empty()
    }

    /// Runs the steps on bytes.
    ///
    /// # Errors
    /// The first one's that fails.
    pub async fn raw(&self, cx: &mut Context, mut body: Bytes) -> Result<Bytes> {
        for step in &self.raw {
            body = step.before_raw(cx, body).await?;
        }
        Ok(body)
    }

    /// Runs the steps on the outcome.
    ///
    /// # Errors
    /// The outcome's own.
    pub fn after(&self, cx: &Context, outcome: Outcome) -> Outcome {
        self.after.iter().fold(outcome, |outcome, step| step.after(cx, outcome))
    }
}

impl Steps for Pipeline {
    fn any(&self) -> bool {
        self.has_before()
    }

    fn run(&self, cx: &mut Context, payload: &mut (dyn Any + Send)) -> Result<()> {
        self.before.iter().try_for_each(|step| step.before(cx, payload))
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("raw", &self.raw.len())
            .field("before", &self.before.len())
            .field("after", &self.after.len())
            .finish()
    }
}
