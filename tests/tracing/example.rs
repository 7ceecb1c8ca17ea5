//! The example `tracing`, as a person runs it.

use crate::sink::Collector;
use pitaya_tests::binary;
use std::process::Output;

async fn run(endpoint: &str) -> Output {
    let mut command = tokio::process::Command::new(binary::example("tracing"));
    command.env_remove("RUST_LOG").env_remove("OTEL_SERVICE_NAME").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let output = command.output().await.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    output
}

#[tokio::test]
async fn it_prints_the_trace() {
    let printed = String::from_utf8(run("").await.stdout).expect("text");
    let lines: Vec<_> = printed.lines().map(|line| line.rsplit_once(": ").map_or(line, |(name, _)| name)).collect();
    assert!(lines.len() == 9 && lines[1].starts_with("trace "), "{printed}");
    let wanted = [
        "  shop.shop.buy on gate-1",
        "    Local RPC Call on gate-1",
        "      shop.shop.buy on shop-1",
        "        price",
        "        Local RPC Call on shop-1",
        "          store.store.take on store-1",
        "        push on shop-1",
    ];
    assert_eq!(lines[2..], wanted, "{printed}");
}

#[tokio::test]
async fn it_exports_the_trace() {
    let collector = Collector::start();
    run(&collector.url).await;
    let all = collector.all();
    assert_eq!(all.len(), 7, "{all:#?}");
    assert!(all.iter().all(|span| span.trace == all[0].trace && span.service == "shop"), "{all:#?}");
}
