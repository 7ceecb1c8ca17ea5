//! Memberships of sessions whose frontend is gone.

use super::Memberships;
use crate::cluster::chance;
use pitaya_core::cluster::{EPOCH, GroupError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Shortest time between two looks, whatever the time to live is.
const SHORTEST: Duration = Duration::from_secs(1);

impl Memberships {
    /// Looks twice in each time to live which frontends hold memberships in the store, and forgets those that were not in
    /// discovery for that time. Every server does so: what one has forgotten, the others do not find any more.
    pub(crate) async fn sweep(self: Arc<Self>) {
        if !self.sweeps {
            return;
        }
        let mut missing: HashMap<(Arc<str>, u64), Instant> = HashMap::new();
        loop {
            // Servers do not look in step.
            sleep((self.ttl / 2).max(SHORTEST).mul_f64(0.75 + chance() / 2.0)).await;
            if let Err(error) = self.restore().await {
                tracing::debug!(error = error.to_string(), "lost memberships could not be restored");
            }
            let known = match self.store.frontends().await {
                Ok(known) => known,
                // There are no memberships of sessions in this store.
                Err(GroupError::Unsupported) => return,
                Err(error) => {
                    tracing::debug!(error = error.to_string(), "frontends of groups could not be read");
                    continue;
                }
            };
            let gone: Vec<_> = known.into_iter().filter(|(frontend, epoch)| !self.is_there(frontend, *epoch)).collect();
            missing.retain(|start, _| gone.contains(start));
            for start in gone {
                let since = *missing.entry(start.clone()).or_insert_with(Instant::now);
                if since.elapsed() < self.ttl {
                    continue;
                }
                let (frontend, epoch) = &start;
                match self.store.forget_frontend(frontend, *epoch).await {
                    Ok(memberships) => {
                        tracing::info!(
                            frontend = &**frontend,
                            epoch = format!("{epoch:x}"),
                            memberships,
                            "sessions of an ended start of a frontend left their groups"
                        );
                        missing.remove(&start);
                    }
                    Err(error) => {
                        tracing::warn!(
                            frontend = &**frontend,
                            epoch = format!("{epoch:x}"),
                            error = error.to_string(),
                            "sessions of a lost frontend could not leave their groups"
                        );
                    }
                }
            }
        }
    }

    /// Whether this start of a frontend runs, as far as discovery knows.
    fn is_there(&self, frontend: &str, epoch: u64) -> bool {
        let server = self.cluster.servers.get(frontend);
        let running = server.as_ref().and_then(|server| server.metadata.get(EPOCH));
        running.is_some_and(|running| *running == format!("{epoch:x}"))
    }
}
