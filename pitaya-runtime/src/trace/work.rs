//! Work within a span: a turn, a future, whatever polls it.

use super::Span;
use pitaya_core::turn::Turn;
use pitaya_core::{Error, Result};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{self, Poll};

/// The turn of a message that is traced. One that is dropped says so in its span.
struct Traced {
    span: Option<Span>,
    turn: Box<dyn Turn>,
}

/// This turn, within its span if it has one.
#[inline]
pub(crate) fn turn(span: Option<Span>, turn: Box<dyn Turn>) -> Box<dyn Turn> {
    if span.is_some() { Box::new(Traced { span, turn }) } else { turn }
}

impl Turn for Traced {
    fn poll(&mut self, cx: &mut task::Context<'_>, out: &mut Vec<u8>) -> Poll<Result<()>> {
        let polled = {
            let _inside = self.span.as_ref().map(Span::enter);
            self.turn.poll(cx, out)
        };
        if let Poll::Ready(outcome) = &polled {
            end(self.span.take(), outcome.as_ref().copied());
        }
        polled
    }
}

/// This work, within a span if there is one. It stays where it is pinned: it is large, and moving it costs a copy.
pub(crate) async fn around<T>(span: Option<&Span>, mut work: Pin<&mut impl Future<Output = T>>) -> T {
    poll_fn(|cx| {
        let _inside = span.map(Span::enter);
        work.as_mut().poll(cx)
    })
    .await
}

/// The end of a span, if there is one.
#[inline]
pub(crate) fn end(span: Option<Span>, outcome: Result<(), &Error>) {
    if let Some(span) = span {
        span.end(outcome);
    }
}
