//! A frontend, a backend and a store behind it.

use pitaya_runtime::prelude::*;
use pitaya_runtime::remote::Metadata;

/// On backends.
pub struct Room;

#[handler]
impl Room {
    /// Asks the store, tells the player, and answers.
    pub async fn buy(&self, session: &Session, rpc: &Rpc, item: Raw) -> Result<Raw> {
        let left = StoreClient::new(rpc, "store").take(&String::from_utf8_lossy(&item.0).into_owned()).await?;
        session.push("onLeft", &left)?;
        Ok(item)
    }

    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    pub async fn fail(&self) -> Result<Raw> {
        Err(Error::new("ROOM-1", "sold out"))
    }

    pub async fn panic(&self) -> Result<Raw> {
        tokio::task::yield_now().await;
        panic!("on purpose")
    }

    #[route(notify)]
    pub async fn tell(&self, raw: Raw) {
        drop(raw);
    }

    /// What came along.
    pub fn along(&self, cx: &Context) -> Metadata {
        cx.metadata().cloned().unwrap_or_default()
    }
}

/// Behind the backends.
pub struct Store;

#[remote(codec = Json)]
impl Store {
    /// How many are left.
    pub async fn take(&self, item: String) -> Result<u32> {
        tokio::task::yield_now().await;
        if item == "none" { Err(Error::new("STORE-1", "there is none")) } else { Ok(7) }
    }
}
