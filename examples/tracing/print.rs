//! Where spans go when there is no collector: on the screen.

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps what is exported, and prints it as a tree.
#[derive(Debug, Default, Clone)]
pub struct Tree(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Tree {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        Ok(())
    }
}

impl Tree {
    pub fn print(&self) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        spans.sort_by_key(|span| span.start_time);
        for root in spans.iter().filter(|span| span.parent_span_id == SpanId::INVALID) {
            println!("trace {}", root.span_context.trace_id());
            print_below(&spans, root, 1);
        }
    }
}

fn print_below(spans: &[SpanData], span: &SpanData, depth: usize) {
    let server = span.attributes.iter().find(|attribute| attribute.key.as_str() == "local.id");
    let server = server.map_or_else(String::new, |attribute| format!(" on {}", attribute.value));
    let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
    println!("{:indent$}{}{server}: {took:.1?}", "", span.name, indent = depth * 2);
    for child in spans.iter().filter(|child| child.parent_span_id == span.span_context.span_id()) {
        print_below(spans, child, depth + 1);
    }
}
