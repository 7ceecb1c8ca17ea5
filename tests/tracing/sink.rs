//! A collector of traces: takes what comes by OTLP over gRPC, and keeps it.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use parking_lot::Mutex;
use pitaya_runtime::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::transport::server::TcpIncoming;

/// A span as it was exported.
#[derive(Debug, Clone)]
pub struct Seen {
    pub name: String,
    /// `service.name` of its resource.
    pub service: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    /// Empty for the first of a trace.
    pub parent: Vec<u8>,
    pub attributes: BTreeMap<String, String>,
    /// Of an error.
    pub failed: Option<String>,
    pub began: u64,
    pub ended: u64,
}

impl Seen {
    pub fn is(&self, key: &str, value: &str) -> bool {
        self.attributes.get(key).is_some_and(|known| known == value)
    }
}

#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<Vec<Seen>>>);

/// A running collector. It ends with the test's runtime.
pub struct Collector {
    sink: Sink,
    pub url: String,
}

impl Collector {
    pub fn start() -> Self {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let url = format!("http://{}", incoming.local_addr().expect("bound"));
        let sink = Sink::default();
        let service = TraceServiceServer::new(sink.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { sink, url }
    }

    /// An app whose traces come here.
    pub fn hear(&self, builder: Builder, ratio: f64) -> Builder {
        builder.configure(|config| {
            config.tracing.enabled = true;
            config.tracing.endpoint.clone_from(&self.url);
            config.tracing.ratio = ratio;
        })
    }

    /// Everything so far, in the order of their beginnings. Apps export the last when they have stopped.
    pub fn all(&self) -> Vec<Seen> {
        let mut all = self.sink.0.lock().clone();
        all.sort_by_key(|span| span.began);
        all
    }

    /// The one span of this name and service.
    pub fn one(&self, service: &str, name: &str) -> Seen {
        let all = self.all();
        let mut those = all.iter().filter(|span| span.service == service && span.name == name);
        match (those.next(), those.next()) {
            (Some(one), None) => one.clone(),
            found => panic!("not one {name} of {service} but {found:?} among {all:#?}"),
        }
    }
}

fn text(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let value = |pair: KeyValue| match pair.value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => Some((pair.key, text)),
        _ => None,
    };
    pairs.into_iter().filter_map(value).collect()
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> std::result::Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let mut all = self.0.lock();
        for resource in request.into_inner().resource_spans {
            let service = text(resource.resource.map(|r| r.attributes).unwrap_or_default()).remove("service.name");
            let service = service.unwrap_or_default();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let failed = span.status.filter(|status| status.code == 2).map(|status| status.message);
                all.push(Seen {
                    name: span.name,
                    service: service.clone(),
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    attributes: text(span.attributes),
                    failed,
                    began: span.start_time_unix_nano,
                    ended: span.end_time_unix_nano,
                });
            }
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}
