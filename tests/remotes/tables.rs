//! What the attribute writes, beside calls: hooks, names, `#[cfg]`, generic components, no stub.

use crate::support::server;
use pitaya_runtime::describe::{Description, Side};
use pitaya_runtime::handler::Kind;
use pitaya_runtime::prelude::*;
use pitaya_runtime::{Remotes, State};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

#[derive(Default)]
pub struct Bank {
    opened: AtomicU32,
}

#[remote(codec = Json)]
impl Bank {
    #[on(init)]
    async fn open(&self, event: &AppEvent, rpc: &Rpc) -> Result<()> {
        let _: (&State, &Rpc) = (&event.state, rpc);
        self.opened.fetch_add(1, SeqCst);
        Ok(())
    }
    #[on(shutdown)]
    fn close(&self) {
        self.opened.fetch_add(10, SeqCst);
    }
    pub(crate) fn balance(&self) -> Result<u32> {
        Ok(self.opened.load(SeqCst))
    }
    #[cfg(any())]
    pub fn never(&self, gone: NoSuchType) -> Result<NoSuchType> {
        gone
    }
    #[route(notify)]
    pub(crate) async fn hush(&self) -> Result<()> {
        Ok(())
    }
    pub(crate) fn r#type(&self, raw: Raw) -> Result<Raw> {
        Ok(raw)
    }
    fn _helper(&self) {}
}

#[tokio::test]
async fn a_component_of_remotes_lives_as_any_other() {
    let bank = Arc::new(Bank::default());
    let app = server(&LocalCluster::default(), Builder::new("bank").shared_remotes(bank.clone())).await;
    let client = BankClient::new(app.rpc(), "bank");
    assert_eq!(client.balance().await, Ok(1));
    assert_eq!(client.r#type(&Raw::from("x")).await, Ok(Raw::from("x")));
    assert_eq!(client.hush().await, Ok(()));
    app.shutdown().await;
    assert_eq!(bank.opened.load(SeqCst), 11);
}

#[test]
fn the_table_says_what_was_written() {
    let table = Bank::REMOTES;
    let shown: Vec<_> = table.service.routes.iter().map(|r| (r.name, r.kind, r.is_async)).collect();
    let expected = [("balance", Kind::Request, false), ("hush", Kind::Notify, true), ("type", Kind::Request, false)];
    assert_eq!((&shown[..], table.rows.len(), table.hooks.len()), (&expected[..], 3, 2));
    assert_eq!((table.service.name, table.service.codecs), ("bank", &["json"][..]));
}

#[test]
fn remotes_are_described_as_what_they_are() {
    let app = Builder::new("bank").remotes(Bank::default()).build().expect("a valid app");
    let described = app.describe();
    let bank = described.services.iter().find(|service| service.type_name == "Bank").expect("it is mounted");
    let routes: Vec<_> = bank.routes.iter().map(|route| &*route.route).collect();
    assert_eq!((bank.side, &*bank.name), (Side::Remote, "bank"));
    assert_eq!(routes, ["bank.bank.balance", "bank.bank.hush", "bank.bank.type"]);
    let forgotten = Description::unmounted(app.registry()).services;
    let shelf = forgotten.iter().find(|service| service.type_name == "Shelf").expect("it is linked");
    assert_eq!(shelf.side, Side::Remote);
    assert!(!forgotten.iter().any(|service| service.type_name == "Bank"));
}

pub trait Store: Send + Sync + 'static {
    type Key: DeserializeOwned + Send + 'static;
    type Item: Serialize + Send + 'static;
    fn get(&self, key: Self::Key) -> Self::Item;
}

pub struct Mem(u32);

impl Store for Mem {
    type Key = u32;
    type Item = Vec<u32>;
    fn get(&self, key: u32) -> Vec<u32> {
        vec![key, self.0]
    }
}

pub struct Shelf<S>(S);

// Without a stub a remote may name what only the server knows, and return what it likes.
#[remote(codec = Json, client = false)]
impl<S: Store> Shelf<S> {
    pub async fn get(&self, key: S::Key) -> S::Item {
        self.0.get(key)
    }
    pub fn on(&self) -> u32 {
        1
    }
}

/// Generic, and every type of its remotes is known.
pub struct Rack<S>(S);

macro_rules! rack {
    ($(#[$attr:meta])* $t:ty, $s:ident: $bound:path, $arg:ty, $ret:ty, $name:ident, $client:ident) => {
        #[remote(codec = Json, client = $client)]
        $(#[$attr])*
        impl<$s: $bound> $t {
            pub async fn $name(&self, key: $arg) -> $ret {
                Ok(self.0.get(key))
            }
        }
    };
}
rack!(
    #[cfg(all())]
    Rack<S>, S: Store<Key = u32, Item = Vec<u32>>, u32, Result<Vec<u32>>, get, Racks
);

#[tokio::test]
async fn generic_components_serve_too() {
    let app = Builder::new("store").remotes(Shelf(Mem(3))).remotes(Rack(Mem(4)));
    let app = server(&LocalCluster::default(), app).await;
    let store = app.rpc().any::<(Json,)>("store");
    assert_eq!(store.send::<u32>("shelf.get", &1).request().await, Ok(vec![1, 3]));
    assert_eq!(store.empty("shelf.on").request().await, Ok(1));
    assert_eq!(Racks::new(app.rpc(), "store").get(&2).await, Ok(vec![2, 4]));
}
