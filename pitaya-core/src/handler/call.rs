//! One call: from the bytes of a body to a step of the turn.

use crate::answer::Answer;
use crate::codec::Reads;
use crate::context::{Context, Source};
use crate::error::Result;
use crate::turn::Place;
use std::future::Future;
use std::sync::Arc;

/// What a row is given. Built by the registry; rows take it apart with [`read`](Call::read) or [`empty`](Call::empty).
///
/// `X` is what surrounds the call, and what the method borrows from: [`Context`] for a handler,
/// [`RemoteContext`](crate::RemoteContext) for a remote.
pub struct Call<'a, S, X = Context> {
    pub(crate) service: &'a Arc<S>,
    pub(crate) cx: &'a mut X,
    pub(crate) codec: usize,
    pub(crate) body: &'a [u8],
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) place: &'a mut Place,
}

/// One row of a table.
pub type Row<S, X = Context> = for<'a> fn(Call<'a, S, X>) -> Step;

/// What became of a call.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// It ran; the answer, if it is one, has been appended to `out`.
    Done(Result<()>),
    /// Its future lies in the place and has not been polled yet.
    Later,
}

/// A call whose payload is read. That is done in a place of its own, so that the bounds on the payload are checked once and
/// a bad payload is one error, not three.
pub struct Read<'a, S, P, X = Context> {
    call: Call<'a, S, X>,
    payload: Result<P>,
}

impl<'a, S, X: Source> Call<'a, S, X> {
    /// The payload is a `P`: reads it with the set of codecs `Cs` and shows it to the steps before the method.
    #[inline]
    #[must_use]
    pub fn read<Cs: Reads<P>, P: Send + 'static>(self) -> Read<'a, S, P, X> {
        let mut payload = Cs::read(self.codec, self.body);
        if self.cx.has_before() {
            payload = stepped(self.cx, payload);
        }
        Read { call: self, payload }
    }

    /// There is no payload; whatever the client sent is ignored.
    #[inline]
    #[must_use]
    pub fn empty(self) -> Read<'a, S, (), X> {
        let payload = if self.cx.has_before() { self.cx.before(&mut ()) } else { Ok(()) };
        Read { call: self, payload }
    }
}

/// Shows the payload to the steps before the method. Apart, so that without them it stays in registers.
#[cold]
#[inline(never)]
fn stepped<P: Send + 'static, X: Source>(cx: &mut X, payload: Result<P>) -> Result<P> {
    let mut payload = payload?;
    cx.before(&mut payload)?;
    Ok(payload)
}

// No bounds here: a method whose impl does not apply is an error about the method, not about the user's type.
impl<S, P, X: Source> Read<'_, S, P, X> {
    /// Calls: the answer goes straight into the connection's buffer.
    #[inline]
    pub fn sync<T>(self, method: impl FnOnce(&Arc<S>, &X, P) -> Result<Answer<T>>) -> Step {
        let Self { call, payload } = self;
        Step::Done(match payload {
            Ok(payload) => match method(call.service, call.cx, payload) {
                Ok(answer) => answer.write(call.codec, call.out),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        })
    }

    /// The payload was read *before* the future exists: no copy of the body, and the future owns all it needs.
    #[inline]
    pub fn later<T, F>(self, method: impl FnOnce(Arc<S>, X, P) -> F) -> Step
    where
        F: Future<Output = Result<Answer<T>>> + Send + 'static,
        T: 'static,
    {
        let Self { call, payload } = self;
        match payload {
            Ok(payload) => {
                call.place.put(call.codec, method(call.service.clone(), call.cx.clone(), payload));
                Step::Later
            }
            Err(e) => Step::Done(Err(e)),
        }
    }

    /// [`later`](Self::later) for a method that borrows nothing: what surrounds the call is not kept for it.
    #[inline]
    pub fn alone<T, F>(self, method: impl FnOnce(Arc<S>, P) -> F) -> Step
    where
        F: Future<Output = Result<Answer<T>>> + Send + 'static,
        T: 'static,
    {
        let Self { call, payload } = self;
        match payload {
            Ok(payload) => {
                call.place.put(call.codec, method(call.service.clone(), payload));
                Step::Later
            }
            Err(e) => Step::Done(Err(e)),
        }
    }
}

impl<S, X> std::fmt::Debug for Call<'_, S, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("codec", &self.codec).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl<S, P, X> std::fmt::Debug for Read<'_, S, P, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Read").field("call", &self.call).finish_non_exhaustive()
    }
}
