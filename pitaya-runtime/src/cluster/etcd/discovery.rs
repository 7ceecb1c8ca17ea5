//! Servers find each other in etcd, by Go's records.
//!
//! The whole list is read, then watched from that very revision: nothing falls in between. Whenever the watch breaks,
//! the list is read again. While etcd is away the last list stands, and a server that is missing when etcd is back, or is
//! deleted soon after, is kept for one more time to live: its lease may have run out during the outage like our own, and
//! it is about to return. One that has left for good in that time is found out by the first call, which nobody answers.

use super::client::{Client, cause, prefixed};
use super::lease::{self, is_leaving};
use super::messages::{EventKind, Range, Watched};
use super::records::Records;
use crate::config::EtcdDiscovery as Settings;
use bytes::Bytes;
use parking_lot::Mutex;
use pitaya_core::BoxFuture;
use pitaya_core::cluster::{Discovery, DiscoveryError, Registrar, ServerInfo};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// An etcd that takes longer for a small answer is away.
const PULSE: Duration = Duration::from_secs(3);

/// Discovery in etcd, byte-compatible with Go Pitaya's. A cheap handle.
#[derive(Clone)]
pub struct EtcdDiscovery(Arc<Shared>);

pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) records: Records,
    pub(super) settings: Settings,
    pub(super) own: Mutex<Option<ServerInfo>>,
    pub(super) lease: Mutex<Option<i64>>,
    connected: AtomicBool,
    /// Until then who is deleted may only have lost its lease with us: one time to live after etcd came back.
    unsure: Mutex<Option<Instant>>,
    /// Nobody shall see this server any more.
    pub(super) withdrawn: CancellationToken,
    over: CancellationToken,
}

impl EtcdDiscovery {
    /// Discovery by these settings. Connects when it is started.
    ///
    /// # Errors
    /// A text when an endpoint is no address.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let client = Client::new(&settings.endpoints, settings.dialtimeout, &settings.user, settings.pass.expose())?;
        let over = CancellationToken::new();
        Ok(Self(Arc::new(Shared {
            client,
            records: Records::new(&settings.prefix, &settings.servertypesblacklist),
            settings: settings.clone(),
            own: Mutex::default(),
            lease: Mutex::default(),
            connected: AtomicBool::new(false),
            unsure: Mutex::default(),
            withdrawn: over.child_token(),
            over,
        })))
    }
}

impl Shared {
    pub(super) fn unavailable(&self, status: &Status) -> DiscoveryError {
        let endpoints = self.settings.endpoints.join(", ");
        DiscoveryError::Unavailable(format!("etcd at {endpoints} does not answer: {}", cause(status)))
    }

    fn set_connected(&self, connected: bool, why: &str) {
        if self.connected.swap(connected, Relaxed) != connected {
            if connected {
                *self.unsure.lock() = Some(Instant::now() + self.settings.heartbeat.ttl);
                tracing::info!("etcd answers");
            } else {
                tracing::warn!("etcd is away, the last known servers stand: {why}");
            }
        }
    }

    /// How long who seems to be gone is kept, in and after an outage.
    fn grace(&self) -> Option<Duration> {
        let unsure = !self.connected.load(Relaxed) || self.unsure.lock().is_some_and(|until| Instant::now() < until);
        unsure.then_some(self.settings.heartbeat.ttl)
    }

    /// Asks again and again whether etcd answers: a watch on which nothing happens does not tell.
    async fn feel_the_pulse(&self) {
        let beat = self.settings.heartbeat.ttl / 3;
        loop {
            sleep(beat).await;
            let key = Bytes::from(self.records.prefix.clone());
            let asked = self.client.range(Range { key, count_only: true, ..Range::default() });
            match timeout(beat.min(PULSE), asked).await {
                Ok(Ok(_)) => self.set_connected(true, ""),
                Ok(Err(status)) => self.set_connected(false, &cause(&status)),
                Err(_) => self.set_connected(false, "it does not answer"),
            }
        }
    }

    /// Everybody who is there, and as of which revision.
    async fn list(&self) -> Result<(Vec<ServerInfo>, i64), Status> {
        let (key, range_end) = prefixed(&self.records.prefix);
        let ranged = self.client.range(Range { key, range_end, ..Range::default() }).await?;
        let own = self.own.lock().as_ref().map(|own| own.id.clone());
        let servers = ranged.kvs.iter().filter_map(|kv| self.records.read(kv, own.as_deref()));
        let servers = servers.filter(|server| !is_leaving(server)).collect();
        Ok((servers, ranged.header.map_or(0, |header| header.revision)))
    }
}

/// What is known, and who is kept although the list lacks it.
struct Known {
    registrar: Arc<dyn Registrar>,
    servers: HashMap<Arc<str>, ServerInfo>,
    missing: HashMap<Arc<str>, Instant>,
}

impl Known {
    /// Takes a whole list. After an outage who is missing is kept for a while.
    fn list(&mut self, listed: Vec<ServerInfo>, keep: Option<Duration>) {
        let mut servers: HashMap<_, _> = listed.into_iter().map(|server| (server.id.clone(), server)).collect();
        self.missing.retain(|id, _| !servers.contains_key(id));
        for (id, server) in std::mem::take(&mut self.servers) {
            if servers.contains_key(&id) {
                continue;
            }
            if let Some(keep) = keep {
                self.missing.entry(id.clone()).or_insert_with(|| Instant::now() + keep);
            }
            if self.missing.contains_key(&id) {
                servers.insert(id, server);
            }
        }
        self.servers = servers;
        self.registrar.replace(self.servers.values().cloned().collect());
    }

    fn put(&mut self, server: ServerInfo) {
        self.missing.remove(&server.id);
        self.servers.insert(server.id.clone(), server.clone());
        self.registrar.put(server);
    }

    /// It was deleted; for a while it may come back.
    fn miss(&mut self, id: &str, grace: Option<Duration>) {
        match (grace, self.servers.get(id)) {
            (Some(grace), Some(server)) => {
                let id = server.id.clone();
                self.missing.entry(id).or_insert_with(|| Instant::now() + grace);
            }
            _ => self.remove(id),
        }
    }

    fn remove(&mut self, id: &str) {
        self.missing.remove(id);
        self.servers.remove(id);
        self.registrar.remove(id);
    }

    /// Gives up on those who have not returned; when the next one's time is over.
    fn give_up(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let gone: Vec<_> = self.missing.iter().filter(|(_, until)| **until <= now).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.remove(&id);
        }
        self.missing.values().min().copied()
    }
}

/// Watches for ever.
async fn watch(shared: Arc<Shared>, mut known: Known, mut revision: i64) {
    let mut pause = Backoff::default();
    loop {
        let started = Instant::now();
        let why = match follow(&shared, &mut known, revision).await {
            Ok(why) => why,
            Err(status) => cause(&status),
        };
        let outage = started.elapsed() < shared.settings.heartbeat.ttl;
        tracing::debug!("the watch of servers ended: {why}");
        if outage && started.elapsed() > Duration::from_secs(10) {
            pause = Backoff::default();
        }
        // A break of the watch is no outage as long as the list can be read at once.
        loop {
            match shared.list().await {
                Ok((servers, now)) => {
                    shared.set_connected(true, "");
                    known.list(servers, shared.grace());
                    revision = now;
                    break;
                }
                Err(status) => {
                    shared.set_connected(false, &cause(&status));
                    pause.wait().await;
                }
            }
        }
        pause.wait_after(started).await;
    }
}

/// Follows one watch until it breaks.
async fn follow(shared: &Shared, known: &mut Known, revision: i64) -> Result<String, Status> {
    let (_alive, mut events) = shared.client.watch(&shared.records.prefix, revision + 1).await?;
    let mut next_list = Instant::now() + shared.settings.syncservers.interval;
    loop {
        let give_up = known.give_up();
        let wake = give_up.into_iter().fold(next_list, Instant::min);
        tokio::select! {
            event = events.message() => {
                let Some(event) = event? else { return Ok("etcd ended it".to_owned()) };
                if event.canceled {
                    return Ok(format!("etcd cancelled it: {} {}", event.cancel_reason, event.compact_revision));
                }
                shared.apply(known, event);
            }
            () = sleep_until(wake) => {
                if Instant::now() >= next_list {
                    next_list = Instant::now() + shared.settings.syncservers.interval;
                    let (servers, _) = shared.list().await?;
                    known.list(servers, shared.grace());
                }
            }
        }
    }
}

impl Shared {
    fn apply(&self, known: &mut Known, event: Watched) {
        let own = self.own.lock().as_ref().map(|own| own.id.clone());
        for event in event.events {
            let deleted = event.kind == i32::from(EventKind::Delete);
            let Some(kv) = event.kv else { continue };
            if deleted {
                if let Some((_, id)) = self.records.name(&kv.key, own.as_deref()) {
                    known.miss(id, self.grace());
                }
            } else if let Some(server) = self.records.read(&kv, own.as_deref()) {
                if is_leaving(&server) { known.remove(&server.id) } else { known.put(server) }
            }
        }
    }
}

/// Waits that grow from 50 ms to 5 s, each shortened by chance: servers that lost etcd together do not return together.
#[derive(Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    pub(super) async fn wait(&mut self) {
        let most = Duration::from_millis(50 << self.0.min(7)).min(Duration::from_secs(5));
        self.0 += 1;
        sleep(most.mul_f64(chance())).await;
    }

    /// Only when the last try ended at once.
    async fn wait_after(&mut self, started: Instant) {
        if started.elapsed() < Duration::from_secs(1) {
            self.wait().await;
        } else {
            self.0 = 0;
        }
    }
}

/// Between a tenth and one.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let number = RandomState::new().hash_one(0) >> 40;
    0.1 + 0.9 * (number as f64 / (1_u64 << 24) as f64)
}

impl Discovery for EtcdDiscovery {
    fn watch(&self, registrar: Arc<dyn Registrar>) -> BoxFuture<'_, Result<(), DiscoveryError>> {
        Box::pin(async move {
            let shared = self.0.clone();
            let mut pause = Backoff::default();
            let start = Instant::now();
            let (servers, revision) = loop {
                match shared.list().await {
                    Ok(listed) => break listed,
                    // Servers and etcd may be started together.
                    Err(status) if start.elapsed() > shared.settings.dialtimeout => {
                        return Err(shared.unavailable(&status));
                    }
                    Err(_) => pause.wait().await,
                }
            };
            // The first time is no return.
            shared.connected.store(true, Relaxed);
            let mut known = Known { registrar, servers: HashMap::new(), missing: HashMap::new() };
            known.list(servers, None);
            let (over, pulse) = (shared.over.clone(), shared.clone());
            tokio::spawn(async move {
                let both = async { tokio::join!(pulse.feel_the_pulse(), watch(shared, known, revision)) };
                over.run_until_cancelled(both).await
            });
            Ok(())
        })
    }

    fn announce(&self, own: ServerInfo) -> BoxFuture<'_, Result<(), DiscoveryError>> {
        Box::pin(async move {
            *self.0.own.lock() = Some(own);
            lease::announce(&self.0).await
        })
    }

    fn withdraw(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.withdrawn.cancel();
            let Some(lease) = self.0.lease.lock().take() else { return };
            let limit = self.0.settings.revoke.timeout;
            let leave = async {
                lease::say_goodbye(&self.0, lease).await?;
                self.0.client.revoke(lease).await
            };
            match timeout(limit, leave).await {
                Ok(Ok(_)) => {}
                Ok(Err(status)) => tracing::warn!("the lease could not be given back: {}", cause(&status)),
                Err(_) => tracing::warn!("the lease could not be given back within {limit:?}"),
            }
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.0.over.cancel();
        Box::pin(std::future::ready(()))
    }

    fn is_connected(&self) -> bool {
        self.0.connected.load(Relaxed)
    }
}

impl std::fmt::Debug for EtcdDiscovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdDiscovery").field("endpoints", &self.0.settings.endpoints).finish_non_exhaustive()
    }
}
