//! A turn: a call in progress, polled in place by whoever owns the session.

use crate::answer::Answer;
use crate::error::Result;
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A call in progress. When it is ready its answer has been appended to `out`.
pub trait Turn: Any + Send {
    /// Goes on with the call.
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<()>>;
}

/// A place for a future whose memory outlives it: the next call of the same row moves into the same boxes.
///
/// Only a future that is pending at its first poll takes its box away with it.
#[derive(Default)]
pub struct Place(Option<Box<dyn Turn>>);

impl Place {
    /// Puts a future in, into the memory of the last one when it was of the same row.
    #[inline]
    pub(crate) fn put<F, T>(&mut self, codec: usize, future: F)
    where
        F: Future<Output = Result<Answer<T>>> + Send + 'static,
        T: 'static,
    {
        if let Some(turn) = &mut self.0
            && let Some(slot) = (&mut **turn as &mut dyn Any).downcast_mut::<Slot<F>>()
        {
            slot.codec = codec;
            slot.future.set(Some(future));
            return;
        }
        self.0 = Some(Box::new(Slot { future: Box::pin(Some(future)), codec }));
    }

    /// Puts any turn in.
    pub fn put_turn(&mut self, turn: Box<dyn Turn>) {
        self.0 = Some(turn);
    }

    /// Polls what lies here.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<()>> {
        match &mut self.0 {
            Some(turn) => turn.poll(cx, out),
            None => Poll::Pending,
        }
    }

    /// Takes the turn away, to be kept until it is ready.
    pub fn take(&mut self) -> Option<Box<dyn Turn>> {
        self.0.take()
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.0.is_some()).finish()
    }
}

struct Slot<F> {
    future: Pin<Box<Option<F>>>,
    codec: usize,
}

impl<F, T> Turn for Slot<F>
where
    F: Future<Output = Result<Answer<T>>> + Send + 'static,
    T: 'static,
{
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<()>> {
        let Some(future) = self.future.as_mut().as_pin_mut() else { return Poll::Pending };
        let Poll::Ready(done) = future.poll(cx) else { return Poll::Pending };
        // The user's values die now, the memory stays.
        self.future.set(None);
        Poll::Ready(done.and_then(|answer| answer.write(self.codec, out)))
    }
}
