//! Servers find each other in etcd.

use super::address::AddressError;
use super::client::Client;
use super::fault::{Fault, Kind};
use super::known::{Known, Missing};
use super::lease::Lease;
use super::login::Login;
use super::outage::Outage;
use super::own::{Own, Record};
use super::records::Records;
use super::watch::Watcher;
use crate::config;
use parking_lot::Mutex;
use pitaya_core::BoxFuture;
use pitaya_core::cluster::{Discovery, DiscoveryError, Registrar, ServerInfo};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at a lease that must run out.
const LOOK: Duration = Duration::from_millis(250);
/// etcd may end a lease so much later than its time.
const LATE: Duration = Duration::from_secs(2);

/// Servers find each other in etcd, under the keys and with the records of Go Pitaya (`etcd_service_discovery.go`), so
/// that Go servers are found, too, and find these.
///
/// * A server is `<prefix>servers/<type>/<id>`, its record is JSON, and hangs on a lease of `heartbeat.ttl`: when it dies
///   others see it that long.
/// * Loss of etcd ends nothing. Known servers stay known, also those whose leases run out meanwhile: they get one more
///   time to live after it is back. What was lost is written again, for as long as it takes. One warning when it goes,
///   one line when it is back.
/// * A server that restarts with its id before its old lease has run out waits for that. One whose id another server
///   keeps alive is refused.
///
/// Dropped without [`withdraw`](Discovery::withdraw) it is like a server that died.
///
/// ```
/// use pitaya_runtime::cluster::EtcdDiscovery;
/// use pitaya_runtime::config::Config;
///
/// let mut config = Config::default();
/// config.cluster.sd.etcd.endpoints = vec!["etcd-0:2379".into(), "etcd-1:2379".into()];
/// let discovery = EtcdDiscovery::new(&config.cluster.sd.etcd)?;
/// # Ok::<(), pitaya_runtime::cluster::EtcdAddressError>(())
/// ```
pub struct EtcdDiscovery {
    client: Arc<Client>,
    records: Arc<Records>,
    outage: Arc<Outage>,
    own: Arc<Own>,
    watcher: Mutex<Option<AbortOnDropHandle<()>>>,
    watching: AtomicBool,
    config: config::EtcdDiscovery,
}

impl EtcdDiscovery {
    /// A discovery with the settings `pitaya.cluster.sd.etcd`. It connects when it begins to watch.
    ///
    /// # Errors
    /// When an address of etcd is none.
    pub fn new(config: &config::EtcdDiscovery) -> Result<Self, AddressError> {
        let login = Login::of(&config.user, &config.pass);
        Ok(Self {
            client: Arc::new(Client::new(&config.endpoints, login, config.dialtimeout, &config.tls.files())?),
            records: Arc::new(Records::new(&config.prefix, &config.servertypesblacklist)),
            outage: Arc::new(Outage::new("the servers known so far stay known")),
            own: Arc::default(),
            watcher: Mutex::default(),
            watching: AtomicBool::new(false),
            config: config.clone(),
        })
    }

    fn tries(&self) -> Tries<'_> {
        Tries { settings: &self.config.grantlease, left: self.config.grantlease.maxretries }
    }

    async fn start_watch(&self, registrar: Arc<dyn Registrar>) -> Result<(), DiscoveryError> {
        let mut watcher = Watcher {
            client: self.client.clone(),
            records: self.records.clone(),
            registrar,
            outage: self.outage.clone(),
            own: self.own.clone(),
            deadline: self.config.dialtimeout,
            grace: self.config.heartbeat.ttl,
            interval: self.config.syncservers.interval,
            known: Known::default(),
        };
        tracing::info!(addresses = self.client.shown(), "connecting to etcd");
        let mut tries = self.tries();
        let from = loop {
            if let Some(from) = tries.one(watcher.read(Missing::Goes)).await? {
                break from;
            }
        };
        *self.watcher.lock() = Some(AbortOnDropHandle::new(tokio::spawn(watcher.run(from))));
        self.watching.store(true, Relaxed);
        Ok(())
    }

    async fn write_record(&self, server: &ServerInfo) -> Result<(), DiscoveryError> {
        let Some(key) = self.records.key(server) else {
            let text = "a server's type and id must not be empty nor hold a `/`: they are parts of its key in etcd";
            return Err(DiscoveryError::Invalid(text.to_owned()));
        };
        let (deadline, log) = (self.config.dialtimeout, self.config.heartbeat.log);
        let (client, outage) = (self.client.clone(), self.outage.clone());
        let record = Arc::new(Record::new(client, outage, key, server.clone(), deadline, log));
        let mut tries = self.tries();
        loop {
            let start = Lease::start(&self.client, record.clone(), self.config.heartbeat.ttl, deadline);
            match tries.one(start).await {
                Ok(Some(lease)) => {
                    self.own.hold(record, lease);
                    return Ok(());
                }
                Ok(None) => {}
                Err(fault) if let Kind::Taken(lease) = fault.kind => self.outlive(&server.id, lease).await?,
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Waits until a lease has run out under which our id is registered: it is that of this server before it was
    /// restarted, unless somebody renews it. Then the id is taken. A renewal shows in that more is left of it than
    /// before, or that it lasts longer than it should: what is left is told in whole seconds.
    async fn outlive(&self, id: &Arc<str>, lease: i64) -> Result<(), DiscoveryError> {
        let mut end = Instant::now() + self.config.grantlease.timeout + LATE;
        let mut tries = self.tries();
        let mut least = i64::MAX;
        loop {
            let Some(left) = tries.one(self.client.time_to_live(lease, self.config.dialtimeout)).await? else {
                continue;
            };
            let Some(left) = left else { return Ok(()) };
            if left > least || Instant::now() > end {
                return Err(DiscoveryError::Taken(id.clone()));
            }
            if least == i64::MAX {
                end = end.min(Instant::now() + Duration::from_secs(left.unsigned_abs() + 1) + LATE);
                tracing::warn!(
                    "the id `{id}` is registered already; if it was this server before a restart, that ends in {left} s, \
                     which is waited for"
                );
            }
            least = left;
            sleep(LOOK).await;
        }
    }
}

/// The tries of a start: as many as the settings of a lease say, while they may help.
struct Tries<'a> {
    settings: &'a config::EtcdLease,
    left: u32,
}

impl Tries<'_> {
    /// One of them; nothing when there shall be another.
    async fn one<T>(&mut self, attempt: impl Future<Output = Result<T, Fault>>) -> Result<Option<T>, Fault> {
        let limit = self.settings.timeout;
        let late = || Fault::new(Kind::Away, format!("etcd did not let this server in within {limit:?}"));
        let fault = match timeout(limit, attempt).await.unwrap_or_else(|_| Err(late())) {
            Ok(done) => return Ok(Some(done)),
            Err(fault) => fault,
        };
        if self.left == 0 || !fault.may_pass() {
            return Err(fault);
        }
        tracing::warn!("{fault}; tried again in {:?}, {} more times", self.settings.retryinterval, self.left);
        self.left -= 1;
        sleep(self.settings.retryinterval).await;
        Ok(None)
    }
}

impl Discovery for EtcdDiscovery {
    fn watch(&self, registrar: Arc<dyn Registrar>) -> BoxFuture<'_, Result<(), DiscoveryError>> {
        Box::pin(self.start_watch(registrar))
    }

    fn announce(&self, own: ServerInfo) -> BoxFuture<'_, Result<(), DiscoveryError>> {
        Box::pin(async move {
            self.own.begin(own.id.clone());
            let written = self.write_record(&own).await;
            if written.is_err() {
                self.own.end();
            }
            written
        })
    }

    fn withdraw(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some((record, lease)) = self.own.end() else { return };
            let (lease, limit) = (lease.leave().await, self.config.revoke.timeout);
            record.is_over();
            let leave = async {
                record.say_goodbye(lease, limit).await?;
                self.client.revoke(lease, limit).await
            };
            let late = || Fault::new(Kind::Away, format!("etcd did not take the lease back within {limit:?}"));
            if let Err(fault) = timeout(limit, leave).await.unwrap_or_else(|_| Err(late())) {
                tracing::warn!("others see this server for up to {:?} still: {fault}", self.config.heartbeat.ttl);
            }
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.watching.store(false, Relaxed);
            let watcher = self.watcher.lock().take();
            if let Some(watcher) = watcher {
                watcher.abort();
                let _ = watcher.await;
            }
            if let Some((_, lease)) = self.own.end() {
                lease.leave().await;
            }
        })
    }

    fn is_connected(&self) -> bool {
        self.watching.load(Relaxed) && !self.outage.is_on()
    }
}

impl fmt::Debug for EtcdDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own.id();
        f.debug_struct("EtcdDiscovery")
            .field("folder", &self.records.folder)
            .field("own", &own)
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
