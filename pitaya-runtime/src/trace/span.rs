//! One span: the context that is current while its work runs, and the log's idea of it.

use super::carrier::carry;
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, ContextGuard, KeyValue};
use pitaya_core::cluster::metadata::REQUEST_ID;
use pitaya_core::remote::Metadata;
use pitaya_core::{Error, Result};
use std::sync::Arc;

/// The name of a client's request on all servers it comes by. It goes along in the context.
pub(super) struct RequestId(pub(super) Arc<str>);

/// A span that is recorded. What is dropped before its end says so.
pub(crate) struct Span(Box<Live>);

struct Live {
    context: Context,
    /// Log lines within it name the trace.
    log: tracing::Span,
    ended: bool,
}

/// While it lives, what runs on this thread belongs to the span. The fields are dropped in this order.
pub(crate) struct Inside<'a> {
    _log: tracing::span::Entered<'a>,
    _context: ContextGuard,
}

impl Span {
    pub(super) fn new(context: Context, log: tracing::Span) -> Self {
        Self(Box::new(Live { context, log, ended: false }))
    }

    pub(super) fn context(&self) -> &Context {
        &self.0.context
    }

    pub(crate) fn enter(&self) -> Inside<'_> {
        let _context = self.0.context.clone().attach();
        Inside { _log: self.0.log.enter(), _context }
    }

    /// These metadata, for another server that goes on with the trace.
    pub(crate) fn metadata(&self, base: &Metadata) -> Metadata {
        let mut metadata = base.clone();
        carry(self.context(), &mut metadata);
        if let Some(RequestId(id)) = self.context().get() {
            metadata.insert(REQUEST_ID.to_owned(), (**id).into());
        }
        metadata
    }

    pub(crate) fn end(mut self, outcome: Result<(), &Error>) {
        self.0.ended = true;
        let span = self.0.context.span();
        if let Err(error) = outcome {
            let code = KeyValue::new("error.code", error.code().to_owned());
            // As OpenTelemetry's libraries record an error.
            let message = KeyValue::new("exception.message", error.message().to_owned());
            span.add_event("exception", vec![code, message]);
            span.set_status(Status::error(error.message().to_owned()));
        }
        span.end();
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.0.ended {
            let span = self.0.context.span();
            span.set_status(Status::error(
                "dropped before its end: it panicked, took too long, or nobody waits for it",
            ));
            span.end();
        }
    }
}
