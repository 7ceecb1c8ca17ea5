//! What a handler does within its span: spans of its own, and lines in the log.

use crate::sink::Collector;
use crate::world::connect;
use opentelemetry::trace::TracerProvider;
use pitaya_runtime::config::Tracing;
use pitaya_runtime::prelude::*;
use pitaya_tests::capture::Capture;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tracing::Instrument;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};

#[derive(Default)]
struct Shop {
    asked: AtomicUsize,
}

#[handler]
impl Shop {
    /// Both at the same time: each has its own trace.
    pub async fn price(&self, item: Raw) -> Raw {
        let asked = async {
            tracing::info!(target: "shop", "looking it up");
            self.asked.fetch_add(1, SeqCst);
            while self.asked.load(SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            tracing::info!(target: "shop", "found");
        };
        asked.instrument(tracing::info_span!(target: "shop", "price")).await;
        item
    }
}

#[tokio::test]
async fn spans_and_lines_of_a_handler_belong_to_its_trace() {
    let collector = Collector::start();
    let mut config = Tracing::default();
    config.endpoint.clone_from(&collector.url);
    let provider = pitaya_runtime::trace::provider(&config, "shop").expect("an exporter");
    let log = Capture::default();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    let subscriber = tracing_subscriber::registry()
        .with(EnvFilter::new("off,shop=info,pitaya::handler=error"))
        .with(layer.with_filter(filter_fn(|metadata| metadata.target() != "pitaya::handler")))
        .with(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);

    let shop =
        Builder::new("shop").acceptor(Tcp::bind("127.0.0.1:0")).handlers(Shop::default()).tracing(provider.clone());
    let shop = shop.build().expect("a valid app");
    shop.start().await.expect("it starts");
    let (one, two) = (connect(&shop).await, connect(&shop).await);
    let (one, two) = tokio::join!(one.request_raw("shop.shop.price", "a"), two.request_raw("shop.shop.price", "b"));
    assert!(one.is_ok() && two.is_ok());
    shop.shutdown().await;
    // The provider is the program's: the app has it export, and it lives on.
    let all = collector.all();
    assert_eq!(all.len(), 4, "{all:#?}");
    for handled in all.iter().filter(|span| span.name == "shop.shop.price") {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (trace, id) = (hex(&handled.trace), hex(&handled.id));
        let own: Vec<_> = all.iter().filter(|span| span.name == "price" && span.trace == handled.trace).collect();
        assert!(own.len() == 1 && own[0].parent == handled.id, "{all:#?}");
        let lines = log.lines(&format!("trace_id=\"{trace}\""));
        assert_eq!(lines.len(), 2, "{}", log.text());
        for line in lines {
            assert!(line.contains(&format!("span_id=\"{id}\"")) && line.contains("session="), "{line}");
            assert!(line.contains("handler{route=\"shop.shop.price\""), "{line}");
        }
    }
    tokio::task::spawn_blocking(move || provider.shutdown()).await.expect("it runs").expect("it is shut down");
}
