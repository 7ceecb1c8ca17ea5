//! A lease, kept alive as long as this process lives, and had anew whenever it is lost.
//!
//! It is renewed three times within its time to live, and more often after a failure. Only etcd's word ends it: one that
//! was not renewed for long may still be good, because etcd starts the times of all leases again when it restarts or
//! elects a leader. When it is lost, a new one is asked for until there is one, and all that hung on the old one is
//! written again.

use super::backoff::Backoff;
use super::client::Client;
use super::fault::{Fault, Kind};
use super::messages::LeaseGrantResponse;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// etcd knows no longer time, in seconds (`lease.MaxLeaseTTL`).
const LONGEST: u64 = 9_000_000_000;

/// What hangs on a lease.
pub(super) trait Held: Send + Sync + 'static {
    /// Writes all of it under this lease, again or for the first time.
    fn write(&self, lease: i64) -> impl Future<Output = Result<(), Fault>> + Send;

    /// etcd has answered.
    fn answered(&self, _lease: i64) {}

    /// etcd has not answered, or refused.
    fn failed(&self, fault: &Fault);
}

/// A lease in the care of a task, which ends with this value.
#[derive(Debug)]
pub(super) struct Lease {
    id: watch::Receiver<i64>,
    check: Arc<Notify>,
    task: AbortOnDropHandle<()>,
}

struct Keeper<H> {
    client: Arc<Client>,
    held: Arc<H>,
    /// What is asked for.
    ttl: Duration,
    /// The longest a call may take.
    deadline: Duration,
    id: watch::Sender<i64>,
    check: Arc<Notify>,
}

/// Whole seconds for etcd: never less than what was asked for.
pub(super) fn seconds(ttl: Duration) -> i64 {
    let whole = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    i64::try_from(whole.clamp(1, LONGEST)).unwrap_or(i64::MAX)
}

impl Lease {
    /// Asks for a lease and writes what hangs on it; one try. From then on it is kept.
    pub(super) async fn start<H: Held>(
        client: &Arc<Client>,
        held: Arc<H>,
        ttl: Duration,
        deadline: Duration,
    ) -> Result<Self, Fault> {
        let granted = client.grant(seconds(ttl), deadline).await?;
        if let Err(fault) = held.write(granted.id).await {
            // Not needed any more; if that fails too it ends by itself.
            let _ = client.revoke(granted.id, deadline).await;
            return Err(fault);
        }
        let (sender, id) = watch::channel(granted.id);
        let check = Arc::new(Notify::new());
        let keeper = Keeper { client: client.clone(), held, ttl, deadline, id: sender, check: check.clone() };
        Ok(Self { id, check, task: AbortOnDropHandle::new(tokio::spawn(keeper.run(granted))) })
    }

    /// Which one it is now.
    pub(super) fn id(&self) -> i64 {
        *self.id.borrow()
    }

    /// Something that should hang on it was seen missing: all of it is written again.
    pub(super) fn check(&self) {
        self.check.notify_one();
    }

    /// Waits until it is another one than this.
    pub(super) async fn other_than(&self, lease: i64) -> i64 {
        let mut id = self.id.clone();
        let other = id.wait_for(|id| *id != lease).await.map(|id| *id);
        // The task lives as long as this value.
        other.unwrap_or(lease)
    }

    /// Ends the care, and tells which lease there is still.
    pub(super) async fn leave(self) -> i64 {
        self.task.abort();
        let _ = self.task.await;
        *self.id.borrow()
    }
}

impl<H: Held> Keeper<H> {
    async fn run(self, mut granted: LeaseGrantResponse) {
        loop {
            self.keep(&granted).await;
            tracing::warn!("a lease in etcd was lost; what hung on it is written again under a new one");
            granted = self.regain().await;
        }
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, granted: &LeaseGrantResponse) {
        let third = Duration::from_secs(granted.ttl.unsigned_abs().max(1)) / 3;
        // After a failure there must be time for several tries.
        let mut backoff = Backoff::up_to((third / 2).min(Backoff::LONGEST));
        let mut pause = third;
        let mut unsure = false;
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = self.check.notified() => unsure = true,
            }
            let renewed = async {
                let lives = self.client.keep_alive(granted.id, third.min(self.deadline)).await?;
                if lives && unsure {
                    self.held.write(granted.id).await?;
                }
                Ok::<_, Fault>(lives)
            };
            match renewed.await {
                Ok(true) => {
                    unsure = false;
                    self.held.answered(granted.id);
                    backoff.reset();
                    pause = third;
                }
                Ok(false) => return,
                Err(fault) if fault.kind == Kind::LeaseGone => return,
                Err(fault) => {
                    self.held.failed(&fault);
                    pause = backoff.next();
                }
            }
        }
    }

    /// Asks for a lease until there is one and all is written under it.
    async fn regain(&self) -> LeaseGrantResponse {
        let mut backoff = Backoff::up_to(Backoff::LONGEST);
        let mut granted = None;
        loop {
            match self.rewrite(&mut granted).await {
                Ok(new) => {
                    self.held.answered(new.id);
                    self.id.send_replace(new.id);
                    return new;
                }
                Err(fault) => self.held.failed(&fault),
            }
            backoff.wait().await;
        }
    }

    /// One try. A lease that was had is used by the next one, as long as it lasts.
    async fn rewrite(&self, granted: &mut Option<LeaseGrantResponse>) -> Result<LeaseGrantResponse, Fault> {
        let new = match granted.take() {
            Some(new) => new,
            None => self.client.grant(seconds(self.ttl), self.deadline).await?,
        };
        match self.held.write(new.id).await {
            Ok(()) => Ok(new),
            Err(fault) => {
                *granted = (fault.kind != Kind::LeaseGone).then_some(new);
                Err(fault)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_and_never_fewer() {
        let millis = Duration::from_millis;
        assert_eq!([millis(1), millis(1000), millis(1001), millis(2500)].map(seconds), [1, 1, 2, 3]);
        assert_eq!(seconds(Duration::MAX), 9_000_000_000);
    }
}
