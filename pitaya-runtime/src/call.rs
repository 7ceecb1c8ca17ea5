//! What runs around a handler, wherever its message came from: steps on the bytes, steps after it, panics.

use crate::server::Server;
use bytes::Bytes;
use futures_util::FutureExt;
use pitaya_core::handler::Step;
use pitaya_core::pipeline::Pipeline;
use pitaya_core::turn::{Place, Turn};
use pitaya_core::{BoxFuture, Context, Error, Result, codes};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{self, Poll, ready};

/// A call behind steps on its bytes: the steps, the handler, the steps after it, as one turn.
pub(crate) struct Staged {
    server: Arc<Server>,
    route: u32,
    stage: Stage,
}

enum Stage {
    Bytes(BoxFuture<'static, (Context, Result<Bytes>)>),
    Handler(Context, Place),
    Over,
}

impl Staged {
    pub(crate) fn new(server: &Arc<Server>, mut context: Context, route: u32, body: Bytes) -> Self {
        let stepping = server.clone();
        let bytes = Box::pin(async move {
            let steps = AssertUnwindSafe(stepping.pipeline.raw(&mut context, body));
            let body = steps.catch_unwind().await;
            (context, body.unwrap_or_else(|panic| Err(panicked(&stepping, route, &*panic))))
        });
        Self { server: server.clone(), route, stage: Stage::Bytes(bytes) }
    }

    /// The steps after it see a panic as the error that it is.
    fn panicked(&self, panic: &(dyn std::any::Any + Send)) -> Error {
        panicked(&self.server, self.route, panic)
    }

    fn after(&mut self, context: &Context, outcome: Result<()>, out: &mut Vec<u8>, at: usize) -> Result<()> {
        self.stage = Stage::Over;
        if !self.server.pipeline.has_after() {
            return outcome;
        }
        let body = out.split_off(at);
        out.extend_from_slice(&self.server.pipeline.after(context, outcome.map(|()| body))?);
        Ok(())
    }
}

impl Turn for Staged {
    fn poll(&mut self, cx: &mut task::Context<'_>, out: &mut Vec<u8>) -> Poll<Result<()>> {
        let at = out.len();
        if let Stage::Bytes(bytes) = &mut self.stage {
            let (mut context, body) = ready!(bytes.as_mut().poll(cx));
            let mut place = Place::default();
            let step = match (body, self.server.registry.entry(self.route)) {
                (Ok(body), Some(entry)) => {
                    let call = AssertUnwindSafe(|| entry.call(&mut context, &body, out, &mut place));
                    catch_unwind(call).unwrap_or_else(|panic| Step::Done(Err(self.panicked(&*panic))))
                }
                (Err(error), _) => Step::Done(Err(error)),
                (Ok(_), None) => Step::Done(Err(Error::internal("internal error"))),
            };
            match step {
                Step::Done(outcome) => return Poll::Ready(self.after(&context, outcome, out, at)),
                Step::Later => self.stage = Stage::Handler(context, place),
            }
        }
        let Stage::Handler(context, place) = &mut self.stage else { return Poll::Pending };
        let poll = catch_unwind(AssertUnwindSafe(|| place.poll(cx, out)));
        let context = context.clone();
        let outcome = match poll {
            Ok(poll) => ready!(poll),
            Err(panic) => Err(self.panicked(&*panic)),
        };
        Poll::Ready(self.after(&context, outcome, out, at))
    }
}

/// Runs the steps after a handler on what it wrote behind `at`.
#[cold]
pub(crate) fn after(
    pipeline: &Pipeline,
    context: &Context,
    out: &mut Vec<u8>,
    at: usize,
    outcome: Result<()>,
    server: &Server,
) -> Result<()> {
    let body = out.split_off(at);
    let outcome = catch_unwind(AssertUnwindSafe(|| pipeline.after(context, outcome.map(|()| body))));
    let body = outcome.unwrap_or_else(|panic| Err(server.panicked(Some(context.route()), &*panic)))?;
    out.extend_from_slice(&body);
    Ok(())
}

/// What a client gets for a call that `pitaya.limits.handler.hard` ended.
#[cold]
pub(crate) fn overdue() -> Error {
    Error::new(codes::TIMEOUT, "the handler took too long")
}

/// A panic in the handler of a route, or in a step around it.
#[cold]
pub(crate) fn panicked(server: &Server, route: u32, panic: &(dyn std::any::Any + Send)) -> Error {
    server.panicked(server.names.get(route as usize).map(|name| &**name), panic)
}
