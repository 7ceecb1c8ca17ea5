//! Memberships that other servers took from the sessions of this one while it seemed to be gone.
//!
//! A frontend that was paused, or cut off from discovery, for longer than its time to live is taken for dead. Its sessions
//! may live on: then they get back what they have joined.

use super::{Memberships, Outcome};
use pitaya_core::cluster::groups::{GroupError, IfMissing, Lost};

impl Memberships {
    /// Gives living sessions of this server their memberships back, one after the other.
    pub(super) async fn restore(&self) -> Outcome<()> {
        let (own, mut restored) = (self.cluster.own.id.clone(), 0);
        loop {
            let lost = match self.store.lost(&own, self.epoch).await {
                Err(GroupError::Unsupported) => return Ok(()),
                lost => lost?,
            };
            if lost.is_empty() {
                break;
            }
            for one in &lost {
                restored += usize::from(self.restore_one(one).await?);
            }
            self.store.forget_lost(&own, self.epoch, &lost).await?;
        }
        if restored > 0 {
            tracing::warn!(restored, "this frontend was taken for gone: its sessions are in their groups again");
        }
        Ok(())
    }

    /// Whether the session is in its group again.
    async fn restore_one(&self, lost: &Lost) -> Outcome<bool> {
        let Lost { session, group, uid, transient } = lost;
        // Behind an operation of the session that is in progress.
        let _turn = self.turns.of(&self.cluster.own.id, *session).await;
        if self.sessions.get(*session).is_none() || !self.records.has(*session, group, uid) {
            return Ok(false);
        }
        let if_missing = if *transient { IfMissing::Create } else { IfMissing::Fail };
        let holder = self.holder(*session);
        match self.store.join(group, uid, &holder, if_missing).await {
            Ok(_) if self.records.has(*session, group, uid) => Ok(true),
            // It has ended, or left, in the meantime.
            Ok(_) => self.store.leave(std::slice::from_ref(group), uid, &holder).await.map(|_| false),
            Err(error @ GroupError::Unavailable(_)) => Err(error),
            // The group has ended, or is full by now.
            Err(error) => {
                let error = error.to_string();
                tracing::debug!(session, group = &**group, error, "session is not in its group any more");
                Ok(false)
            }
        }
    }
}
