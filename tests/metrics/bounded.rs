//! Whatever clients send and applications answer: the number of series has a bound.

use crate::game::{Room, connect, eventually, game, measured, serve};
use crate::text::Scrape;
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use pitaya_runtime::rpc::{RpcCall, Target};
use std::sync::Arc;

const MANY: usize = 10_000;

/// Requests of that many routes, many at a time, all of which fail.
async fn ask(client: Client, route: impl Fn(usize) -> String) {
    let client = Arc::new(client);
    for chunk in (0..MANY).collect::<Vec<_>>().chunks(50) {
        let asked = chunk.iter().map(|number| {
            let (client, route) = (client.clone(), route(*number));
            async move { client.request_raw(&route, &b"{}"[..]).await.expect_err("refused") }
        });
        futures_util::future::join_all(asked).await;
    }
}

#[tokio::test]
async fn routes_that_clients_invent_are_one() {
    let app = serve(game()).await;
    ask(connect(&app).await, |number| format!("game.made{number}.up")).await;
    let scrape = Scrape::of(&app);
    assert_eq!(scrape.values("route"), ["other"]);
    assert_eq!(scrape.one("pitaya_handler_response_time_ns_count", &[("route", "other")]), Some(MANY as f64));
}

#[tokio::test]
async fn routes_that_clients_invent_of_other_servers_are_one() {
    let cluster = LocalCluster::default();
    let back = measured(Builder::new("back").local_cluster(&cluster).handlers(Room).warn_unmounted(false));
    let back = back.build().expect("it works");
    back.start().await.expect("it works");
    let front = serve(measured(Builder::new("front").local_cluster(&cluster).warn_unmounted(false))).await;
    let client = connect(&front).await;
    client.request_raw("back.room.echo", &b"{}"[..]).await.expect("it works");
    ask(client, |number| format!("back.made{number}.up")).await;
    let (front_saw, back_saw) = (Scrape::of(&front), Scrape::of(&back));
    assert_eq!(front_saw.values("route"), ["back.room.echo", "other"]);
    assert_eq!(back_saw.values("route"), ["back.room.echo", "other"]);
    let other = [("route", "other"), ("code", "PIT-404")];
    assert_eq!(front_saw.one("pitaya_handler_response_time_ns_count", &other), Some(MANY as f64));
    assert_eq!(back_saw.one("pitaya_handler_response_time_ns_count", &other), Some(MANY as f64));
    front.shutdown().await;
    back.shutdown().await;
}

struct Bank;

#[remote(codec = Json)]
impl Bank {
    pub fn balance(&self) -> Result<u64> {
        Ok(7)
    }
}

#[tokio::test]
async fn remotes_that_are_not_there_take_no_place() {
    let cluster = LocalCluster::default();
    let back = Builder::new("back").local_cluster(&cluster).remotes(Bank).warn_unmounted(false);
    let back = back.build().expect("it works");
    back.start().await.expect("it works");
    let front = measured(Builder::new("front").local_cluster(&cluster).warn_unmounted(false));
    let front = front.build().expect("it works");
    front.start().await.expect("it works");
    let rpc = front.rpc();
    // More than there are places.
    for number in 0..1_100 {
        let call = RpcCall::new(Target::Any("back".into()), format!("made{number}.up"));
        let error = rpc.call(call).await.expect_err("not there");
        assert_eq!(error.code(), "PIT-404");
    }
    rpc.call(RpcCall::new(Target::Any("back".into()), "bank.balance")).await.expect("it is there");
    let scrape = Scrape::of(&front);
    assert_eq!(scrape.values("route"), ["back.bank.balance", "other"]);
    let other = [("route", "other"), ("type", "rpc"), ("code", "PIT-404")];
    assert_eq!(scrape.one("pitaya_handler_response_time_ns_count", &other), Some(1_100.0));
    front.shutdown().await;
    back.shutdown().await;
}

#[tokio::test]
async fn codes_beyond_the_bound_are_one() {
    let app = serve(game()).await;
    let client = connect(&app).await;
    for number in 0..100 {
        client.request_json::<u8>("game.room.fail", &format!("GAME-{number}")).await.expect_err("refused");
    }
    let scrape = eventually("all are reported", || {
        let scrape = Scrape::of(&app);
        let all = scrape.all("pitaya_handler_response_time_ns_count", &[("route", "game.room.fail")]);
        (all.iter().map(|sample| sample.value).sum::<f64>() == 100.0).then_some(scrape)
    });
    let codes = scrape.await.values("code").into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(codes.len(), 33, "32 and `other`: {codes:?}");
    assert!(codes.contains(&"other".to_owned()) && codes.contains(&"GAME-0".to_owned()));
}
