//! Where spans go: a provider made of `pitaya.tracing`.

use super::{LOGIN, has_login};
use crate::config::Tracing;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use pitaya_core::text::redact;

/// Why spans cannot be exported.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum NoExporter {
    /// The exporter's connection belongs to the Tokio runtime that it is made in.
    #[error("there is no Tokio runtime here: do it inside of one")]
    NoRuntime,
    /// The address of the collector cannot be used.
    #[error("no exporter of traces: {0}")]
    Exporter(String),
}

crate::readable::debug_as_display!(NoExporter);

/// A provider that exports by OTLP over gRPC to `pitaya.tracing.endpoint`. What that key and `pitaya.tracing.service`
/// leave open the `OTEL_*` variables of OpenTelemetry say, then `kind` names the service.
///
/// [`Builder::tracing`](crate::Builder::tracing) takes it, and so does the layer of the crate `tracing-opentelemetry`, by
/// which the application's own spans come into the traces. Call `shutdown` on it at the end of the program, from a thread
/// that no future of the runtime waits on: what was not exported is lost otherwise.
///
/// # Errors
/// Outside of a Tokio runtime, when the address is none, and when it has a login.
///
/// ```
/// use pitaya_runtime::config::Config;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::default();
/// config.tracing.endpoint = "http://collector:4317".to_owned();
/// let provider = pitaya_runtime::trace::provider(&config.tracing, "chat")?;
/// # tokio::task::spawn_blocking(move || provider.shutdown()).await??;
/// # Ok(())
/// # }
/// ```
pub fn provider(tracing: &Tracing, kind: &str) -> Result<SdkTracerProvider, NoExporter> {
    tokio::runtime::Handle::try_current().map_err(|_| NoExporter::NoRuntime)?;
    let variables = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let said = variables.iter().filter_map(|name| std::env::var(name).ok());
    if has_login(&tracing.endpoint) || said.into_iter().any(|address| has_login(&address)) {
        return Err(NoExporter::Exporter(LOGIN.to_owned()));
    }
    let mut exporter = SpanExporter::builder().with_tonic();
    if !tracing.endpoint.is_empty() {
        exporter = exporter.with_endpoint(&tracing.endpoint);
    }
    let exporter = exporter.build().map_err(|e| NoExporter::Exporter(redact(&e.to_string())))?;
    let mut resource = Resource::builder();
    if !tracing.service.is_empty() {
        resource = resource.with_service_name(tracing.service.clone());
    } else if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(kind.to_owned());
    }
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}
