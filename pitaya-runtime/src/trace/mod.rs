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

/// Why an address of a collector is refused that has a login.
pub(crate) const LOGIN: &str = "no login is wanted in the address: the exporter writes it to its log; send one in \
    OTEL_EXPORTER_OTLP_HEADERS";

/// Whether an address has a name or a password in front of its host.
pub(crate) fn has_login(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}
