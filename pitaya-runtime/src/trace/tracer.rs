//! What begins a span, and whether it does.

use super::Span;
use super::carrier::{Brought, brought};
use super::provider::provider;
use super::span::RequestId;
use crate::cluster::chance;
use crate::config::Config;
use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use pitaya_core::Session;
use pitaya_core::cluster::ServerInfo;
use pitaya_core::cluster::metadata::{REQUEST_ID, SPAN, text};
use pitaya_core::remote::{Metadata, Peer};
use std::sync::Arc;
use std::time::Duration;

/// How long the last spans may take to be exported when the app stops.
const GOODBYE: Duration = Duration::from_secs(5);

/// Begins the spans of one app, or none.
#[derive(Clone, Default)]
pub(crate) struct Tracer(Option<Arc<Inner>>);

struct Inner {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    /// Made from the config, so ended with the app.
    owned: bool,
    /// The share of clients' messages that is traced.
    ratio: f64,
    id: Arc<str>,
    /// What says to another server that a message is not recorded: the span of nothing.
    unsampled: Metadata,
}

impl Tracer {
    /// As the config says.
    pub(crate) fn configured(config: &Config, own: &ServerInfo) -> Result<Self, String> {
        let disabled = || std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        if !config.tracing.enabled || disabled() {
            return Ok(Self::default());
        }
        let provider = provider(&config.tracing, &own.kind).map_err(|e| format!("pitaya.tracing: {e}"))?;
        Ok(Self::new(provider, true, config, own))
    }

    /// Through a provider of the application's own.
    pub(crate) fn given(provider: SdkTracerProvider, config: &Config, own: &ServerInfo) -> Self {
        Self::new(provider, false, config, own)
    }

    fn new(provider: SdkTracerProvider, owned: bool, config: &Config, own: &ServerInfo) -> Self {
        let nothing = format!("00-{}-{:016x}-00", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().as_u64_pair().0);
        let span = serde_json::json!({ "traceparent": nothing });
        Self(Some(Arc::new(Inner {
            // The name that Go's has.
            tracer: provider.tracer("pitaya"),
            provider,
            owned,
            ratio: config.tracing.ratio,
            id: own.id.clone(),
            unsampled: Metadata::from_iter([(SPAN.to_owned(), span)]),
        })))
    }

    /// Whether any span may begin.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A client's message that goes to a handler, here or elsewhere: a trace begins.
    #[inline]
    pub(crate) fn received(&self, session: &Session, route: &str, request: bool) -> Option<Span> {
        self.0.as_ref()?.received(session, route, request)
    }

    /// A message or a call of another server: its trace goes on, or one begins if there is none. `session` is that of a
    /// client's message, its number and its uid.
    #[inline]
    pub(crate) fn served(
        &self,
        route: &str,
        metadata: &Metadata,
        peer: Option<&Peer>,
        session: Option<(i64, &[u8])>,
    ) -> Option<Span> {
        self.0.as_ref()?.served(route, metadata, peer, session)
    }

    /// A call of another server, within the current span or the trace that its metadata bring along. What belongs to no
    /// trace begins none.
    #[inline]
    pub(crate) fn call(&self, metadata: &Metadata, to: &ServerInfo, name: &'static str) -> Option<Span> {
        let inner = self.0.as_ref()?;
        let current = Context::current();
        let span = current.span().span_context().clone();
        match span.is_valid() {
            true => inner.call(&current, to, name),
            false => match brought(metadata) {
                Brought::Parent(parent) => inner.call(&parent, to, name),
                Brought::Nothing | Brought::Unsampled => None,
            },
        }
    }

    /// A call within this span.
    pub(super) fn call_within(&self, parent: &Context, to: &ServerInfo, name: &'static str) -> Option<Span> {
        self.0.as_ref()?.call(parent, to, name)
    }

    /// A push or a kick, within the current span if there is one.
    #[inline]
    pub(crate) fn tells(&self, name: &'static str, route: &str) -> Option<Span> {
        let inner = self.0.as_ref()?;
        if !Context::map_current(|current| current.span().span_context().is_sampled()) {
            return None;
        }
        let mut attributes = inner.attributes("producer");
        if !route.is_empty() {
            attributes.push(KeyValue::new("push.route", route.to_owned()));
        }
        inner.begin(name, SpanKind::Producer, attributes, &Context::current(), |_| tracing::Span::none())
    }

    /// What travels with all messages that are not traced: that they are not. Otherwise the next server would begin a trace
    /// in the middle of nowhere.
    pub(crate) fn metadata(&self) -> Metadata {
        self.0.as_ref().map(|inner| inner.unsampled.clone()).unwrap_or_default()
    }

    /// The same for a call that has no span.
    #[inline]
    pub(crate) fn mark(&self, metadata: &Arc<Metadata>) -> Arc<Metadata> {
        match &self.0 {
            Some(inner) if !metadata.contains_key(SPAN) => {
                let mut marked = Metadata::clone(metadata);
                marked.extend(inner.unsampled.clone());
                Arc::new(marked)
            }
            _ => metadata.clone(),
        }
    }

    /// Exports what is left.
    pub(crate) async fn finish(&self) {
        let Some(inner) = self.0.clone() else { return };
        // It waits for the exporter, which needs this runtime.
        let finished = tokio::task::spawn_blocking(move || match inner.owned {
            true => inner.provider.shutdown_with_timeout(GOODBYE),
            false => inner.provider.force_flush(),
        });
        if let Ok(Err(error)) = finished.await {
            tracing::warn!("the last traces were not exported: {error}");
        }
    }
}

impl Inner {
    #[cold]
    fn received(&self, session: &Session, route: &str, request: bool) -> Option<Span> {
        if !self.chosen() {
            return None;
        }
        let request_id: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let uid = session.uid();
        let mut attributes = self.attributes("server");
        attributes.push(KeyValue::new("msg.type", if request { "request" } else { "notify" }));
        attributes.push(KeyValue::new("user.id", uid.clone().unwrap_or_default()));
        attributes.push(KeyValue::new("request.id", request_id.clone()));
        let parent = Context::new().with_value(RequestId(request_id));
        self.begin(route.to_owned(), SpanKind::Server, attributes, &parent, |ids| {
            log(route, Some(session.id()), uid.as_deref(), ids)
        })
    }

    #[cold]
    fn served(
        &self,
        route: &str,
        metadata: &Metadata,
        peer: Option<&Peer>,
        session: Option<(i64, &[u8])>,
    ) -> Option<Span> {
        let mut parent = match brought(metadata) {
            Brought::Parent(parent) => parent,
            Brought::Nothing if self.chosen() => Context::new(),
            Brought::Nothing | Brought::Unsampled => return None,
        };
        let mut attributes = self.attributes("server");
        if let Some(peer) = peer {
            attributes.push(KeyValue::new("peer.id", peer.id.clone()));
            attributes.push(KeyValue::new("peer.service", peer.kind.clone()));
        }
        if let Some(id) = text(metadata, REQUEST_ID) {
            attributes.push(KeyValue::new("request.id", id.to_owned()));
            parent = parent.with_value(RequestId(id.into()));
        }
        let uid = session.and_then(|(_, uid)| std::str::from_utf8(uid).ok()).filter(|uid| !uid.is_empty());
        self.begin(route.to_owned(), SpanKind::Server, attributes, &parent, |ids| {
            log(route, session.map(|(id, _)| id), uid, ids)
        })
    }

    #[cold]
    fn call(&self, parent: &Context, to: &ServerInfo, name: &'static str) -> Option<Span> {
        let mut attributes = self.attributes("client");
        attributes.push(KeyValue::new("peer.serverType", to.kind.clone()));
        attributes.push(KeyValue::new("peer.id", to.id.clone()));
        self.begin(name, SpanKind::Client, attributes, parent, |_| tracing::Span::none())
    }

    /// Whether a trace begins. Decided before anything is made for it.
    fn chosen(&self) -> bool {
        self.ratio >= 1.0 || chance() < self.ratio
    }

    fn attributes(&self, kind: &'static str) -> Vec<KeyValue> {
        vec![KeyValue::new("local.id", self.id.clone()), KeyValue::new("span.kind", kind)]
    }

    /// A span, unless the provider's sampler is against it.
    fn begin(
        &self,
        name: impl Into<std::borrow::Cow<'static, str>>,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
        parent: &Context,
        log: impl FnOnce(&Ids) -> tracing::Span,
    ) -> Option<Span> {
        let builder = self.tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
        let context = parent.with_span(self.tracer.build_with_context(builder, parent));
        let span = context.span().span_context().clone();
        span.is_sampled().then(|| {
            let log = log(&Ids { trace: span.trace_id().to_string(), span: span.span_id().to_string() });
            Span::new(context, log)
        })
    }
}

/// A span's place, as log lines and people write it.
struct Ids {
    trace: String,
    span: String,
}

/// Around the log lines of a method. Whatever level is logged, what they belong to is said.
fn log(route: &str, session: Option<i64>, uid: Option<&str>, ids: &Ids) -> tracing::Span {
    tracing::error_span!(
        target: "pitaya::handler",
        parent: None,
        "handler",
        route,
        session,
        uid,
        trace_id = &*ids.trace,
        span_id = &*ids.span,
    )
}
