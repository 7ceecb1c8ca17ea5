//! A trace on its way to another server: an object of texts among the metadata, as Go writes it (`pkg/tracing/span.go`).

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use pitaya_core::cluster::metadata::SPAN;
use pitaya_core::remote::Metadata;
use serde_json::{Map, Value};

struct Carrier<'a>(&'a Map<String, Value>);
struct Carried(Map<String, Value>);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Injector for Carried {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` says nothing, and Go writes none.
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value.into());
        }
    }
}

/// What a message or a call brought of a trace.
pub(super) enum Brought {
    /// It belongs to none.
    Nothing,
    /// Whoever sent it has decided that it is not recorded.
    Unsampled,
    /// The span it was sent in.
    Parent(Context),
}

pub(super) fn brought(metadata: &Metadata) -> Brought {
    let Some(Value::Object(carrier)) = metadata.get(SPAN) else { return Brought::Nothing };
    // Looked at for every message of a frontend that traces: nearly all of them end so.
    if carrier.get("traceparent").and_then(Value::as_str).is_some_and(|parent| parent.ends_with("-00")) {
        return Brought::Unsampled;
    }
    let carrier = Carrier(carrier);
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    let span = parent.span().span_context().clone();
    if !span.is_valid() {
        return Brought::Nothing;
    }
    if !span.is_sampled() {
        return Brought::Unsampled;
    }
    Brought::Parent(BaggagePropagator::new().extract_with_context(&parent, &carrier))
}

/// Writes the span of a context, and its baggage, among the metadata.
pub(super) fn carry(context: &Context, metadata: &mut Metadata) {
    let mut carried = Carried(Map::new());
    TraceContextPropagator::new().inject_context(context, &mut carried);
    if !context.baggage().is_empty() {
        BaggagePropagator::new().inject_context(context, &mut carried);
    }
    metadata.insert(SPAN.to_owned(), carried.0.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(span: Value) -> Metadata {
        Metadata::from_iter([(SPAN.to_owned(), span)])
    }

    #[test]
    fn what_go_writes_is_read_and_written_again() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let go = metadata(json!({"traceparent": parent, "tracestate": "a=b", "baggage": "tenant=7"}));
        let Brought::Parent(context) = brought(&go) else { panic!("a parent") };
        let mut again = Metadata::new();
        carry(&context, &mut again);
        assert_eq!(again, go);
    }

    #[test]
    fn what_is_no_trace_is_none() {
        for span in
            [json!(null), json!("x"), json!([]), json!({}), json!({"traceparent": 7}), json!({"traceparent": "x"})]
        {
            assert!(matches!(brought(&metadata(span.clone())), Brought::Nothing), "{span}");
        }
        assert!(matches!(brought(&Metadata::new()), Brought::Nothing));
        let unsampled = json!({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"});
        assert!(matches!(brought(&metadata(unsampled)), Brought::Unsampled));
    }
}
