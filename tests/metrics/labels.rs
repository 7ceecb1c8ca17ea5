//! Labels that every metric has, and those that requests set.

use crate::game::{Room, connect, keys, measured, serve};
use crate::text::Scrape;
use pitaya_runtime::prelude::*;
use serde_json::json;
use std::any::Any;

const COUNT: &str = "pitaya_handler_response_time_ns_count";

struct Bank;

#[remote(codec = Json)]
impl Bank {
    pub async fn pay(&self, amount: u32) -> Result<u32> {
        Ok(amount)
    }

    /// Calls on, through what its caller said.
    pub async fn pay_on(&self, cx: &RemoteContext, amount: u32) -> Result<u32> {
        BankClient::new(cx.rpc(), "bank").pay(&amount).await
    }
}

struct Shop;

#[handler]
impl Shop {
    pub async fn buy(&self, cx: &Context, amount: u32) -> Result<u32> {
        BankClient::new(cx.rpc()?, "bank").pay_on(&amount).await
    }
}

fn labelled(builder: Builder) -> Builder {
    let keys = keys(&json!({
        "game": "chess", "constlabels": { "zone": "eu" }, "additionallabels": { "platform": "unknown", "build": "0" },
    }));
    measured(builder.configure(|c| c.metrics = keys)).warn_unmounted(false)
}

fn phone(cx: &mut Context, _: &mut (dyn Any + Send)) -> Result<()> {
    cx.add_metric_tags([("platform", "phone"), ("shoe", "42")]);
    Ok(())
}

#[tokio::test]
async fn what_a_request_sets_travels_with_its_calls() {
    let cluster = LocalCluster::default();
    let bank = labelled(Builder::new("bank").local_cluster(&cluster).remotes(Bank)).build().expect("it works");
    bank.start().await.expect("it works");
    let shop = labelled(Builder::new("shop").local_cluster(&cluster).handlers(Shop).handlers(Room).before(phone));
    let shop = serve(shop).await;
    let client = connect(&shop).await;
    client.request_json::<u32>("shop.shop.buy", &7).await.expect("it works");
    client.request_raw("shop.nothing.here", &b"{}"[..]).await.expect_err("refused");

    let scrape = Scrape::of(&shop);
    let set = [("platform", "phone"), ("build", "0"), ("game", "chess"), ("zone", "eu"), ("status", "ok")];
    let with = |more: &[(&'static str, &'static str)]| [&set[..], more].concat();
    assert_eq!(scrape.one(COUNT, &with(&[("type", "handler"), ("route", "shop.shop.buy")])), Some(1.0), "{scrape:#?}");
    assert_eq!(scrape.one(COUNT, &with(&[("type", "rpc"), ("route", "bank.bank.pay_on")])), Some(1.0));
    assert_eq!(scrape.one(COUNT, &[("route", "other"), ("platform", "unknown")]), Some(1.0));
    assert!(scrape.values("shoe").is_empty(), "only what the config announces is a label");
    let every = |sample: &crate::text::Sample| sample.labels.get("zone").is_some_and(|zone| zone == "eu");
    assert!(scrape.0.iter().all(every), "a constant label is on every metric");

    let scrape = Scrape::of(&bank);
    assert_eq!(scrape.one(COUNT, &with(&[("type", "remote"), ("route", "bank.pay_on")])), Some(1.0), "{scrape:#?}");
    assert_eq!(scrape.one(COUNT, &with(&[("type", "remote"), ("route", "bank.pay")])), Some(1.0), "two hops");
    assert_eq!(scrape.one(COUNT, &with(&[("type", "rpc"), ("route", "bank.bank.pay")])), Some(1.0));
    shop.shutdown().await;
    bank.shutdown().await;
}
