//! What runs around a method: a [`Pipeline`] around handlers, another one around remotes.
//!
//! Three stages, each in the order in which its steps were added:
//!
//! 1. [`BeforeRaw`]: on the bytes of the body, before anything is decoded; may be async.
//! 2. [`Before`]: on the decoded payload, just before the method; never async, so that it costs a message nothing.
//! 3. [`After`]: on the encoded answer or on the error, whatever the first two and the method did.
//!
//! An error of the first two stages ends the turn: the method does not run, the third stage does.
//!
//! `X` is what surrounds the call, as everywhere: [`Context`] for the message of a client, forwarded or not, and
//! [`RemoteContext`](crate::RemoteContext) for a call of another server.

use crate::BoxFuture;
use crate::context::{Context, Steps};
use crate::error::Result;
use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;

/// A step on the bytes of a body: decrypt, unpack, look up who is asking.
pub trait BeforeRaw<X = Context>: Send + Sync + 'static {
    /// Gives the bytes that go on, or the error the caller gets.
    fn before_raw<'a>(&'a self, cx: &'a mut X, body: Bytes) -> BoxFuture<'a, Result<Bytes>>;
}

/// A step on the decoded payload: check it, correct it, put something into the context.
///
/// Any `Fn(&mut Context, &mut (dyn Any + Send)) -> Result<()>` is one; downcast the payload to the type you mean. A route
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
pub trait Before<X = Context>: Send + Sync + 'static {
    /// Looks at the payload and may change it.
    ///
    /// # Errors
    /// The caller gets it as the answer; the method does not run.
    fn before(&self, cx: &mut X, payload: &mut (dyn Any + Send)) -> Result<()>;
}

impl<X, F> Before<X> for F
where
    F: Fn(&mut X, &mut (dyn Any + Send)) -> Result<()> + Send + Sync + 'static,
{
    fn before(&self, cx: &mut X, payload: &mut (dyn Any + Send)) -> Result<()> {
        self(cx, payload)
    }
}

/// The encoded body of an answer, or the error in its place.
pub type Outcome = Result<Vec<u8>>;

/// A step on the outcome: count it, sign it, turn an error into an answer and back.
///
/// Any `Fn(&Context, Outcome) -> Outcome` is one.
pub trait After<X = Context>: Send + Sync + 'static {
    /// Gives the outcome that goes on.
    ///
    /// # Errors
    /// The caller gets it as the answer.
    fn after(&self, cx: &X, outcome: Outcome) -> Outcome;
}

impl<X, F: Fn(&X, Outcome) -> Outcome + Send + Sync + 'static> After<X> for F {
    fn after(&self, cx: &X, outcome: Outcome) -> Outcome {
        self(cx, outcome)
    }
}

/// The steps of one side of an app.
pub struct Pipeline<X: 'static = Context> {
    raw: Vec<Arc<dyn BeforeRaw<X>>>,
    before: Vec<Arc<dyn Before<X>>>,
    after: Vec<Arc<dyn After<X>>>,
}

impl<X> Default for Pipeline<X> {
    fn default() -> Self {
        Self { raw: Vec::new(), before: Vec::new(), after: Vec::new() }
    }
}

impl<X> Clone for Pipeline<X> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), before: self.before.clone(), after: self.after.clone() }
    }
}

impl<X> Pipeline<X> {
    /// Adds a step on bytes, after those already there.
    pub fn push_raw(&mut self, step: impl BeforeRaw<X>) {
        self.raw.push(Arc::new(step));
    }

    /// Adds a step on payloads, after those already there.
    pub fn push_before(&mut self, step: impl Before<X>) {
        self.before.push(Arc::new(step));
    }

    /// Adds a step on outcomes, after those already there.
    pub fn push_after(&mut self, step: impl After<X>) {
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

    /// Whether there are steps that are not part of the call itself: on bytes or on outcomes.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        self.has_raw() || self.has_after()
    }

    /// Runs the steps on bytes.
    ///
    /// # Errors
    /// The first one's that fails.
    pub async fn raw(&self, cx: &mut X, mut body: Bytes) -> Result<Bytes> {
        for step in &self.raw {
            body = step.before_raw(cx, body).await?;
        }
        Ok(body)
    }

    /// Runs the steps on the outcome.
    ///
    /// # Errors
    /// The outcome's own.
    pub fn after(&self, cx: &X, outcome: Outcome) -> Outcome {
        self.after.iter().fold(outcome, |outcome, step| step.after(cx, outcome))
    }
}

impl<X> Steps<X> for Pipeline<X> {
    fn any(&self) -> bool {
        self.has_before()
    }

    fn run(&self, cx: &mut X, payload: &mut (dyn Any + Send)) -> Result<()> {
        self.before.iter().try_for_each(|step| step.before(cx, payload))
    }
}

impl<X> std::fmt::Debug for Pipeline<X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("raw", &self.raw.len())
            .field("before", &self.before.len())
            .field("after", &self.after.len())
            .finish()
    }
}
