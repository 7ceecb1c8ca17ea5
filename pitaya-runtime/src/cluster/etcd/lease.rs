//! The lease that says that this server lives, and the record that hangs on it.

use super::client::cause;
use super::discovery::{Backoff, Shared};
use super::messages::{Compare, Comparison, Op, Put, RequestOp, Target, Txn, With};
use pitaya_core::cluster::{DiscoveryError, ServerInfo};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Status;

/// How late etcd may end a lease.
const LATE: Duration = Duration::from_secs(3);

/// Puts the record under a new lease, and keeps it there.
pub(super) async fn announce(shared: &Arc<Shared>) -> Result<(), DiscoveryError> {
    let start = Instant::now();
    let mut tries = 0;
    let lease = loop {
        match register(shared).await {
            Ok(Registered::As(lease)) => break lease,
            // A server that was killed leaves its record for the rest of its time to live, and etcd is not in a hurry.
            Ok(Registered::Taken(id)) if start.elapsed() > shared.settings.heartbeat.ttl + LATE => {
                return Err(DiscoveryError::Taken(id));
            }
            Ok(Registered::Taken(id)) => {
                if tries == 0 {
                    tracing::warn!(server = &*id, "its record is there already: waiting whether it goes away");
                }
                tries += 1;
                sleep(Duration::from_millis(250)).await;
            }
            Err(status) if tries >= shared.settings.grantlease.maxretries => return Err(shared.unavailable(&status)),
            Err(_) => {
                tries += 1;
                sleep(shared.settings.grantlease.retryinterval).await;
            }
        }
    };
    *shared.lease.lock() = Some(lease);
    let (keeper, withdrawn) = (shared.clone(), shared.withdrawn.clone());
    tokio::spawn(async move { withdrawn.run_until_cancelled(keep(keeper, lease)).await });
    Ok(())
}

enum Registered {
    As(i64),
    Taken(Arc<str>),
}

async fn register(shared: &Shared) -> Result<Registered, Status> {
    let Some(own) = shared.own.lock().clone() else { return Err(Status::failed_precondition("nothing to announce")) };
    let lease = shared.client.grant(shared.settings.heartbeat.ttl).await?;
    let compare = Compare {
        result: Comparison::Equal.into(),
        target: Target::Create.into(),
        key: shared.records.key(&own).into(),
        with: Some(With::CreateRevision(0)),
    };
    let success = vec![put(shared, &own, lease)];
    let done = shared.client.txn(Txn { compare: vec![compare], success, failure: vec![] }).await?;
    if done.succeeded {
        return Ok(Registered::As(lease));
    }
    let _ = shared.client.revoke(lease).await;
    Ok(Registered::Taken(own.id))
}

fn put(shared: &Shared, own: &ServerInfo, lease: i64) -> RequestOp {
    let (key, value) = (shared.records.key(own).into(), own.to_json().into());
    RequestOp { op: Some(Op::Put(Put { key, value, lease })) }
}

/// In the metadata of a server that leaves of its own will: others need not wait whether it comes back. A Go server does
/// not read a record again, and hears of the end as ever.
const LEAVING: &str = "pitaya.leaving";

pub(super) fn is_leaving(server: &ServerInfo) -> bool {
    server.metadata.contains_key(LEAVING)
}

/// The last words of the record, before the lease is given back.
pub(super) async fn say_goodbye(shared: &Shared, lease: i64) -> Result<(), Status> {
    let Some(mut own) = shared.own.lock().take() else { return Ok(()) };
    own.metadata.insert(LEAVING.to_owned(), "1".to_owned());
    let success = vec![put(shared, &own, lease)];
    shared.client.txn(Txn { compare: vec![], success, failure: vec![] }).await.map(drop)
}

/// Renews the lease three times in its life; one that is gone is replaced, for ever.
async fn keep(shared: Arc<Shared>, mut lease: i64) {
    let ttl = shared.settings.heartbeat.ttl;
    let mut pause = Backoff::default();
    loop {
        sleep(ttl / 3).await;
        loop {
            match shared.client.renew(lease).await {
                Ok(Some(left)) => {
                    if shared.settings.heartbeat.log {
                        tracing::debug!("the lease has {left} s again");
                    }
                    pause = Backoff::default();
                    break;
                }
                Ok(None) => {
                    tracing::warn!("the lease has run out: this server registers again");
                    lease = again(&shared).await;
                    break;
                }
                Err(status) => {
                    tracing::debug!("the lease was not renewed: {}", cause(&status));
                    pause.wait().await;
                }
            }
        }
    }
}

/// The record under a new lease, whatever is there: it can only be this server's own.
async fn again(shared: &Shared) -> i64 {
    let mut pause = Backoff::default();
    loop {
        let put_again = async {
            let Some(own) = shared.own.lock().clone() else { return Err(Status::failed_precondition("withdrawn")) };
            let lease = shared.client.grant(shared.settings.heartbeat.ttl).await?;
            let success = vec![put(shared, &own, lease)];
            shared.client.txn(Txn { compare: vec![], success, failure: vec![] }).await.map(|_| lease)
        };
        match put_again.await {
            Ok(lease) => {
                *shared.lease.lock() = Some(lease);
                return lease;
            }
            Err(status) => {
                tracing::debug!("not registered yet: {}", cause(&status));
                pause.wait().await;
            }
        }
    }
}
