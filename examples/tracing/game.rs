//! A shop, and the store behind it. Nothing here knows of traces, but for the one span of its own.

use pitaya_runtime::prelude::*;
use std::time::Duration;
use tracing::Instrument;

/// On the backend that clients' messages are forwarded to.
pub struct Shop;

#[handler]
impl Shop {
    /// Takes one out of the store.
    pub async fn buy(&self, session: &Session, rpc: &Rpc, item: Raw) -> Result<Raw> {
        let name = String::from_utf8_lossy(&item.0).into_owned();
        let price = price(&name).instrument(tracing::info_span!("price", item = name)).await;
        let left = StoreClient::new(rpc, "store").take(&name).await?;
        session.push("onLeft", &serde_json::json!({ "item": name, "left": left, "price": price }))?;
        Ok(item)
    }
}

async fn price(item: &str) -> usize {
    tokio::time::sleep(Duration::from_millis(5)).await;
    tracing::info!("somebody looks at it");
    item.len()
}

/// On a server that only other servers call.
pub struct Store;

#[remote(codec = Json)]
impl Store {
    /// How many are left.
    pub async fn take(&self, item: String) -> Result<usize> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(item.len())
    }
}
