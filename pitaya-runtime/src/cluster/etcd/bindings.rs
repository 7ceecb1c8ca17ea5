//! Which frontend a user is on, for all servers: Go's keys (`pkg/modules/binding_storage.go`).

use super::address::AddressError;
use super::client::Client;
use super::fault::{Fault, Kind};
use super::lease::{Held, Lease};
use super::login::Login;
use super::messages::{Compare, Op, TxnRequest};
use super::outage::{Outage, Part};
use crate::config;
use futures_util::{TryStreamExt, stream};
use parking_lot::Mutex;
use pitaya_core::BoxFuture;
use pitaya_core::cluster::{BindingStorage, DiscoveryError};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// Bindings that are written at the same time after a lease was lost.
const AT_ONCE: usize = 32;

/// A [`BindingStorage`] in etcd: `<prefix>bindings/<frontend type>/<uid>` is the id of the frontend.
///
/// The bindings of a server hang on a lease of `leasettl`, which is renewed while the server lives: when it dies they
/// are gone that much later. When the lease is lost they are written again, but for those that are another frontend's by
/// then. A server that only asks has no lease. Each operation may take `dialtimeout`.
///
/// In Go a removal takes away another frontend's binding too, and a lost lease loses all of them.
///
/// ```
/// use pitaya_runtime::cluster::EtcdBindings;
/// use pitaya_runtime::config::Config;
///
/// let config = Config::default();
/// let bindings = EtcdBindings::new(&config.modules.bindingstorage.etcd, "connector", "id of this server")?;
/// # Ok::<(), pitaya_runtime::cluster::EtcdAddressError>(())
/// ```
pub struct EtcdBindings {
    shelf: Arc<Shelf>,
    /// From the first binding on.
    lease: OnceCell<Lease>,
    ttl: Duration,
}

/// The bindings of this server.
struct Shelf {
    client: Arc<Client>,
    /// `<prefix>bindings/`
    folder: String,
    /// The type of this server.
    kind: String,
    /// The id of this server: the value of each.
    id: String,
    uids: Mutex<HashSet<Arc<str>>>,
    outage: Outage,
    deadline: Duration,
}

impl EtcdBindings {
    /// Bindings with the settings `pitaya.modules.bindingstorage.etcd`, of the server with this type and id. It connects
    /// when it is first used.
    ///
    /// # Errors
    /// When an address of etcd is none.
    pub fn new(
        config: &config::EtcdBindings,
        kind: impl Into<String>,
        id: impl Into<String>,
    ) -> Result<Self, AddressError> {
        let login = Login::of(&config.user, &config.pass);
        let shelf = Shelf {
            client: Arc::new(Client::new(&config.endpoints, login, config.dialtimeout, &config.tls.files())?),
            folder: format!("{}bindings/", config.prefix),
            kind: kind.into(),
            id: id.into(),
            uids: Mutex::default(),
            outage: Outage::new("bindings are written when it is back"),
            deadline: config.dialtimeout,
        };
        Ok(Self { shelf: Arc::new(shelf), lease: OnceCell::new(), ttl: config.leasettl })
    }

    /// Removes all bindings of this server, when it ends.
    ///
    /// # Errors
    /// When etcd cannot be reached: then they end with the lease.
    pub async fn close(self) -> Result<(), DiscoveryError> {
        let Some(lease) = self.lease.into_inner() else { return Ok(()) };
        let lease = lease.leave().await;
        Ok(self.shelf.client.revoke(lease, self.shelf.deadline).await?)
    }

    async fn lease(&self) -> Result<&Lease, Fault> {
        let start = || Lease::start(&self.shelf.client, self.shelf.clone(), self.ttl, self.shelf.deadline);
        self.lease.get_or_try_init(start).await
    }

    async fn write(&self, uid: &str) -> Result<(), Fault> {
        let lease = self.lease().await?;
        let id = lease.id();
        match self.shelf.put(uid, id).await {
            // The new one brings all bindings with it, this one too.
            Err(fault) if fault.kind == Kind::LeaseGone => {
                lease.check();
                timeout(self.shelf.deadline, lease.other_than(id)).await.map(drop).map_err(|_| fault)
            }
            outcome => outcome,
        }
    }
}

impl Shelf {
    fn key(&self, kind: &str, uid: &str) -> String {
        format!("{}{kind}/{uid}", self.folder)
    }

    /// The last one who binds has the user.
    async fn put(&self, uid: &str, lease: i64) -> Result<(), Fault> {
        let put = Op::put(&self.key(&self.kind, uid), &self.id, lease);
        self.client.txn(TxnRequest::when(Vec::new(), vec![put], Vec::new()), self.deadline).await.map(drop)
    }

    /// Unless it is another's by now.
    async fn put_again(&self, uid: &str, lease: i64) -> Result<(), Fault> {
        let key = self.key(&self.kind, uid);
        let put = || vec![Op::put(&key, &self.id, lease)];
        let ours = TxnRequest::when(vec![Compare::has(&key, &self.id)], put(), Vec::new());
        let either = TxnRequest::when(vec![Compare::is_missing(&key)], put(), vec![Op::Txn(ours)]);
        self.client.txn(either, self.deadline).await.map(drop)
    }

    async fn delete(&self, uid: &str) -> Result<(), Fault> {
        let key = self.key(&self.kind, uid);
        let question = TxnRequest::when(vec![Compare::has(&key, &self.id)], vec![Op::delete(&key)], Vec::new());
        self.client.txn(question, self.deadline).await.map(drop)
    }
}

impl Held for Shelf {
    async fn write(&self, lease: i64) -> Result<(), Fault> {
        let uids: Vec<_> = self.uids.lock().iter().cloned().collect();
        let put = |uid: Arc<str>| async move {
            self.put_again(&uid, lease).await?;
            // Its user may have left in the meantime.
            let left = !self.uids.lock().contains(&uid);
            if left { self.delete(&uid).await } else { Ok(()) }
        };
        stream::iter(uids.into_iter().map(Ok)).try_for_each_concurrent(AT_ONCE, put).await
    }

    fn answered(&self, _lease: i64) {
        self.outage.ends(Part::Lease);
    }

    fn failed(&self, fault: &Fault) {
        self.outage.begins(Part::Lease, fault);
    }
}

impl BindingStorage for EtcdBindings {
    fn put<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        Box::pin(async move {
            self.shelf.uids.lock().insert(uid.into());
            self.write(uid).await.map_err(|fault| {
                self.shelf.uids.lock().remove(uid);
                fault.into()
            })
        })
    }

    fn remove<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        Box::pin(async move {
            self.shelf.uids.lock().remove(uid);
            Ok(self.shelf.delete(uid).await?)
        })
    }

    fn get<'a>(&'a self, kind: &'a str, uid: &'a str) -> BoxFuture<'a, Result<Option<Arc<str>>, DiscoveryError>> {
        Box::pin(async move {
            let found = self.shelf.client.get(&self.shelf.key(kind, uid), self.shelf.deadline).await?;
            // Go writes ids: what is none is nobody's.
            Ok(found.and_then(|kv| String::from_utf8(kv.value).ok()).filter(|id| !id.is_empty()).map(Into::into))
        })
    }
}

impl fmt::Debug for EtcdBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdBindings")
            .field("folder", &self.shelf.folder)
            .field("kind", &self.shelf.kind)
            .field("held", &self.shelf.uids.lock().len())
            .finish_non_exhaustive()
    }
}
