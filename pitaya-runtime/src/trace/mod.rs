//! Traces of clients' messages and of calls between servers, in OpenTelemetry: `docs/tracing.md` has the spans.
//!
//! Without the feature `otel` there is no `Span` at all: `Option<Span>` has one value, and what is done with the other
//! is compiled away. With it, and switched off, a message costs the look at one pointer.

#[cfg(feature = "otel")]
mod carrier;
#[cfg(feature = "otel")]
mod passing;
#[cfg(feature = "otel")]
mod provider;
#[cfg(feature = "otel")]
mod span;
#[cfg(feature = "otel")]
mod tracer;

#[cfg(not(feature = "otel"))]
mod off;
mod work;

#[cfg(feature = "otel")]
pub use provider::{NoExporter, provider};

#[cfg(not(feature = "otel"))]
pub(crate) use off::{Passing, Span, Tracer};
#[cfg(feature = "otel")]
pub(crate) use {passing::Passing, span::Span, tracer::Tracer};

pub(crate) use work::{around, end, turn};
