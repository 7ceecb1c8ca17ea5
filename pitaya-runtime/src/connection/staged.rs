//! A call behind steps on its bytes: the steps, the handler, the steps after it, as one turn.

use crate::server::Server;
use bytes::Bytes;
use pitaya_core::handler::Step;
use pitaya_core::turn::{Place, Turn};
use pitaya_core::{BoxFuture, Context, Result};
use std::sync::Arc;
use std::task::{self, Poll, ready};

pub(super) struct Staged {
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
    pub(super) fn new(server: &Arc<Server>, mut context: Context, route: u32, body: Bytes) -> Self {
        let pipeline = server.pipeline.clone();
        let bytes = Box::pin(async move {
            let body = pipeline.raw(&mut context, body).await;
            (context, body)
        });
        Self { server: server.clone(), route, stage: Stage::Bytes(bytes) }
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
                (Ok(body), Some(entry)) => entry.call(&mut context, &body, out, &mut place),
                (Err(error), _) => Step::Done(Err(error)),
                (Ok(_), None) => Step::Done(Err(pitaya_core::Error::internal("internal error"))),
            };
            match step {
                Step::Done(outcome) => return Poll::Ready(self.after(&context, outcome, out, at)),
                Step::Later => self.stage = Stage::Handler(context, place),
            }
        }
        let Stage::Handler(context, place) = &mut self.stage else { return Poll::Pending };
        let outcome = ready!(place.poll(cx, out));
        let context = context.clone();
        Poll::Ready(self.after(&context, outcome, out, at))
    }
}
