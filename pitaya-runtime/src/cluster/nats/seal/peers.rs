//! Servers of the cluster that do not sign where this one wants it, or want it where this one does not: each is named once.

use super::{Guard, SECTION};
use parking_lot::Mutex;
use pitaya_core::cluster::ServerInfo;
use pitaya_core::cluster::server::SIGNED;
use std::collections::HashSet;
use std::sync::Arc;

/// The servers that the log has named already.
#[derive(Debug, Default)]
pub(in super::super) struct Peers(Mutex<HashSet<Arc<str>>>);

impl Peers {
    /// Looks at all servers that discovery knows.
    pub(in super::super) fn look(&self, own: &str, guard: Option<&Guard>, servers: &[Arc<ServerInfo>]) {
        let differs = |server: &ServerInfo| match guard {
            Some(guard) => guard.trusts(server).is_err(),
            None => server.speaks(SIGNED),
        };
        let different: Vec<_> = servers.iter().filter(|server| *server.id != *own && differs(server)).collect();
        let mut named = self.0.lock();
        named.retain(|id| different.iter().any(|server| server.id == *id));
        for server in different {
            if !named.insert(server.id.clone()) {
                continue;
            }
            let (id, kind) = (&*server.id, &*server.kind);
            match guard {
                Some(_) => tracing::warn!(
                    server = id,
                    kind,
                    "server does not sign its messages: they are refused. Set {SECTION}.file or .keys there, or name its type \
                     in {SECTION}.unsigned here"
                ),
                None => tracing::warn!(
                    server = id,
                    kind,
                    "server wants signed messages, and this one does not sign: unless {SECTION}.unsigned there names this \
                     type, what is sent there is refused. Set {SECTION}.file or .keys here"
                ),
            }
        }
    }
}
