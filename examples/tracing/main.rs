//! One request of a client, as a trace through three servers: printed, or sent to a collector.
//!
//! ```text
//! cargo run --example tracing                                                      # prints what became of it
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 cargo run --example tracing    # Jaeger, Tempo, a collector show it
//! ```

mod game;
mod print;

use game::{Shop, Store};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use pitaya_client::Client;
use pitaya_runtime::config::Tracing;
use pitaya_runtime::prelude::*;
use print::Tree;
use std::process::ExitCode;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tracing: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load_env()?.config;
    let tree = Tree::default();
    let export = exports(&config.tracing);
    let provider = match export {
        true => pitaya_runtime::trace::provider(&config.tracing, "shop")?,
        false => SdkTracerProvider::builder().with_simple_exporter(tree.clone()).build(),
    };
    // The program's own spans, `info_span!("price")`, come into the traces by this layer. The framework's are there already:
    // what it has for the log, around each handler, is left to the log.
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    tracing_subscriber::registry()
        .with(pitaya_runtime::logs::filter(&config.log)?)
        .with(spans.with_filter(filter_fn(|metadata| metadata.target() != "pitaya::handler")))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .init();

    let cluster = LocalCluster::default();
    let server = |kind: &str| {
        let builder = Builder::new(kind).server_id(format!("{kind}-1")).config(config.clone());
        builder.local_cluster(&cluster).warn_unmounted(false).tracing(provider.clone())
    };
    let store = server("store").remotes(Store).build()?;
    let shop = server("shop").handlers(Shop).build()?;
    let gate = server("gate").acceptor(Tcp::bind("127.0.0.1:0")).build()?;
    for app in [&store, &shop, &gate] {
        app.start().await?;
    }

    let client = Client::connect(&format!("tcp://{}", gate.addresses()[0])).await?;
    let bought = client.request_raw("shop.shop.buy", "sword").await?;
    println!("tracing: the client bought {}", String::from_utf8_lossy(&bought));
    for app in [&gate, &shop, &store] {
        app.shutdown().await;
    }
    // It waits for the collector, which must not keep the runtime from sending.
    tokio::task::spawn_blocking(move || provider.shutdown()).await??;
    match export {
        true => println!("tracing: the trace is with the collector"),
        false => tree.print(),
    }
    Ok(())
}

/// Whether somebody said where to.
fn exports(tracing: &Tracing) -> bool {
    let said = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !tracing.endpoint.is_empty() || said("OTEL_EXPORTER_OTLP_ENDPOINT") || said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
}
