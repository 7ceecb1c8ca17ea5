//! Several servers: the same message, seen from both ends.

use crate::game::{Gate, Room, connect, eventually, measured, serve};
use crate::text::Scrape;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use tokio::sync::Notify;

const COUNT: &str = "pitaya_handler_response_time_ns_count";

#[tokio::test]
async fn a_forwarded_message_is_measured_at_both_ends() {
    let cluster = LocalCluster::default();
    let gate = Arc::new(Notify::new());
    let back = Builder::new("back").local_cluster(&cluster).handlers(Room).state(Gate(gate.clone()));
    let back = measured(back.warn_unmounted(false).configure(|c| c.limits.calls = 77)).build().expect("it works");
    back.start().await.expect("it works");
    let front = serve(measured(Builder::new("front").local_cluster(&cluster).warn_unmounted(false))).await;
    let client = Arc::new(connect(&front).await);
    for _ in 0..5 {
        client.request_raw("back.room.echo", &b"{}"[..]).await.expect("it works");
    }
    client.request_json::<u8>("back.room.fail", "GAME-1").await.expect_err("refused");

    let ok = [("route", "back.room.echo"), ("status", "ok"), ("code", "")];
    let front_saw = Scrape::of(&front);
    assert_eq!(front_saw.one(COUNT, &[&ok[..], &[("type", "handler")]].concat()), Some(5.0), "{front_saw:#?}");
    let delays = "pitaya_handler_handler_delay_ns_count";
    assert_eq!(front_saw.one(delays, &[("route", "back.room.echo"), ("type", "remote")]), Some(5.0));
    // Nothing of it was ever answered well: whether there is such a route is not known.
    assert_eq!(front_saw.one(COUNT, &[("route", "other"), ("code", "GAME-1")]), Some(1.0));
    let back_saw = Scrape::of(&back);
    assert_eq!(back_saw.one(COUNT, &[&ok[..], &[("type", "forwarded")]].concat()), Some(5.0));
    assert_eq!(back_saw.one(COUNT, &[("route", "back.room.fail"), ("code", "GAME-1")]), Some(1.0));
    for (kind, count) in [("front", 1.0), ("back", 1.0)] {
        assert_eq!(front_saw.one("pitaya_service_discovery_count_servers", &[("type", kind)]), Some(count));
    }
    assert_eq!(front_saw.one("pitaya_acceptor_connected_clients", &[]), Some(1.0));
    let pool = |name, pool| back_saw.one(name, &[("pool", pool)]);
    assert_eq!(pool("pitaya_worker_pool_total_workers", "rpc_server_remote"), Some(77.0));
    let free =
        back_saw.one("pitaya_channel_channel_capacity_sum", &[("channel", "rpc_server_calls")]).expect("it works");
    assert!(free >= 77.0 && free % 77.0 == 0.0, "{free}");

    // A turn in progress is a busy worker.
    let waits = client.clone();
    let waits = tokio::spawn(async move { waits.request_raw("back.room.wait", &b""[..]).await });
    let busy = [("pool", "handler_dispatch")];
    eventually("it is busy", || {
        (Scrape::of(&back).one("pitaya_worker_pool_busy_workers", &busy) == Some(1.0)).then_some(())
    })
    .await;
    gate.notify_one();
    waits.await.expect("it works").expect("it works");
    back.shutdown().await;
    let gone = || Scrape::of(&front).one("pitaya_service_discovery_count_servers", &[("type", "back")]) == Some(0.0);
    eventually("nobody of the type is left", || gone().then_some(())).await;
    front.shutdown().await;
}
