//! Response times and delays of one server.

use crate::game::{Gate, connect, eventually, game, serve};
use crate::text::Scrape;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const COUNT: &str = "pitaya_handler_response_time_ns_count";

#[tokio::test]
async fn each_message_is_counted_by_route_and_outcome() {
    let app = serve(game().configure(|c| c.metrics.histograms = true)).await;
    let client = connect(&app).await;
    for _ in 0..20 {
        client.request_raw("game.room.echo", &b"{}"[..]).await.expect("it works");
    }
    for code in ["GAME-1", "GAME-1", "PIT-400"] {
        client.request_json::<u8>("game.room.fail", code).await.expect_err("refused");
    }
    client.request_raw("game.nowhere.at", &b"{}"[..]).await.expect_err("refused");
    client.notify_raw("game.room.note", &b"{}"[..]).await.expect("it works");
    let note = |scrape: &Scrape| scrape.one(COUNT, &[("route", "game.room.note")]) == Some(1.0);
    let scrape = eventually("the notify", || Some(Scrape::of(&app)).filter(note)).await;

    let count = |route, status, code| {
        scrape.one(COUNT, &[("route", route), ("status", status), ("type", "handler"), ("code", code)])
    };
    assert_eq!(count("game.room.echo", "ok", ""), Some(20.0));
    assert_eq!(count("game.room.fail", "failed", "GAME-1"), Some(2.0));
    assert_eq!(count("game.room.fail", "failed", "PIT-400"), Some(1.0));
    assert_eq!(count("other", "failed", "PIT-404"), Some(1.0));
    let buckets = "pitaya_handler_response_time_seconds_count";
    assert_eq!(scrape.one(buckets, &[("route", "game.room.echo")]), Some(20.0), "the same, in buckets");
    let delays = "pitaya_handler_handler_delay_ns_count";
    assert_eq!(scrape.one(delays, &[("route", "game.room.echo"), ("type", "local")]), Some(20.0));
    // A quantile lies within what one request can have taken.
    let echo = [("route", "game.room.echo"), ("status", "ok")];
    let quantile =
        scrape.one("pitaya_handler_response_time_ns", &[echo[0], echo[1], ("quantile", "0.99")]).expect("it works");
    assert!((100.0..1e9).contains(&quantile), "{quantile}");
    assert_eq!(scrape.one("pitaya_acceptor_connected_clients", &[]), Some(1.0));
    assert!(scrape.one("pitaya_server_messages_total", &[]).expect("it works") >= 24.0);
    app.shutdown().await;
    let end = Scrape::of(&app);
    assert_eq!(end.one("pitaya_server_closed_total", &[("reason", "shutdown")]), Some(1.0));
}

#[tokio::test]
async fn a_turn_that_waits_takes_its_time_and_delays_the_next() {
    let gate = Arc::new(Notify::new());
    let app = serve(game().state(Gate(gate.clone()))).await;
    let client = Arc::new(connect(&app).await);
    let begun = Instant::now();
    let (waits, behind) = (client.clone(), client.clone());
    let waits = tokio::spawn(async move { waits.request_raw("game.room.wait", &b""[..]).await });
    eventually("the first runs", || (app.counts().messages > 0).then_some(())).await;
    let behind = tokio::spawn(async move { behind.request_raw("game.room.echo", &b"{}"[..]).await });
    // The one behind is read and waits; there is no event for it, so it gets the time.
    tokio::time::sleep(Duration::from_millis(60)).await;
    gate.notify_one();
    waits.await.expect("it works").expect("it works");
    behind.await.expect("it works").expect("it works");
    let most = begun.elapsed().as_nanos() as f64;
    let found = eventually("both are reported", || {
        let scrape = Scrape::of(&app);
        let waits = scrape.one("pitaya_handler_response_time_ns_sum", &[("route", "game.room.wait")]);
        let delay = scrape.one("pitaya_handler_handler_delay_ns_sum", &[("route", "game.room.echo")]);
        waits.zip(delay)
    });
    let (waits, delay) = found.await;
    assert!((50e6..most).contains(&waits), "{waits}");
    assert!((20e6..most).contains(&delay), "{delay}");
}

#[tokio::test]
async fn nothing_is_shown_unless_it_is_asked_for() {
    let app = serve(Builder::new("game").handlers(crate::game::Room).warn_unmounted(false)).await;
    let client = connect(&app).await;
    client.request_raw("game.room.echo", &b"{}"[..]).await.expect("it works");
    assert_eq!(app.metrics().render(), "");
    assert!(app.admin_address().is_none());
}
