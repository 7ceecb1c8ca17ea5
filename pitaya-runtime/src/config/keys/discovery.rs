//! The keys of service discovery.

use std::time::Duration;

use super::{client_tls, millis, secs, section};
use crate::config::Secret;

section! {
    /// `pitaya.cluster.sd`: how servers find each other.
    "pitaya.cluster.sd" Discovery {
        etcd: EtcdDiscovery,
    }
}

section! {
    /// `pitaya.cluster.sd.etcd`: servers find each other in etcd.
    "pitaya.cluster.sd.etcd" EtcdDiscovery {
        /// The members of the etcd cluster, `host:port` or `https://host:port`.
        #[redacted = "logins"]
        endpoints: Vec<String> = vec!["localhost:2379".to_owned()],
        /// The name to log in with; empty: no login.
        user: String = String::new(),
        /// The password to log in with.
        pass: Secret = Secret::default(),
        /// How long connecting, and each call, may take.
        dialtimeout: Duration = secs(5),
        /// Put before every key in etcd. Servers see each other only under the same prefix.
        prefix: String = "pitaya/".to_owned(),
        /// Server types that this server does not look at.
        #[go = "the manual writes `servertypeblacklist`, which does nothing there and is an alias here."]
        servertypesblacklist: Vec<String> = Vec::new(),
        heartbeat: EtcdHeartbeat,
        syncservers: EtcdSync,
        revoke: EtcdRevoke,
        grantlease: EtcdLease,
        shutdown: EtcdShutdown,
        tls: EtcdTls,
    }
}

client_tls! {
    "`pitaya.cluster.sd.etcd.tls`: TLS to etcd. It is spoken to `https://host:port`, and to `host:port` when a key of this section is set."
    "pitaya.cluster.sd.etcd.tls" EtcdTls
}

section! {
    /// `pitaya.cluster.sd.etcd.heartbeat`: the lease that says this server lives.
    "pitaya.cluster.sd.etcd.heartbeat" EtcdHeartbeat {
        /// How long other servers see this one after it died: at least a second, etcd counts whole ones.
        ttl: Duration = secs(60),
        /// Whether each renewal is logged, at debug level.
        log: bool = false,
    }
}

section! {
    /// `pitaya.cluster.sd.etcd.syncservers`: reading the whole list.
    "pitaya.cluster.sd.etcd.syncservers" EtcdSync {
        /// Time between two readings of the whole list, beside the watch.
        interval: Duration = secs(120),
        /// Without effect: the whole list is read at once.
        #[go = "reads so many servers at the same time."]
        parallelism: usize = 10,
    }
}

section! {
    /// `pitaya.cluster.sd.etcd.revoke`: giving the lease back.
    "pitaya.cluster.sd.etcd.revoke" EtcdRevoke {
        /// How long giving the lease back may take.
        timeout: Duration = secs(5),
    }
}

section! {
    /// `pitaya.cluster.sd.etcd.grantlease`: getting a lease.
    "pitaya.cluster.sd.etcd.grantlease" EtcdLease {
        /// How long one try may take; and how long the lease of a server with the same id is given to run out.
        timeout: Duration = secs(60),
        /// How often it is tried again at start.
        #[go = "ends the process when a lease lost later cannot be had again; here that is tried for ever."]
        maxretries: u32 = 15,
        /// The wait before it is tried again.
        retryinterval: Duration = secs(5),
    }
}

section! {
    /// `pitaya.cluster.sd.etcd.shutdown`: leaving.
    "pitaya.cluster.sd.etcd.shutdown" EtcdShutdown {
        /// How long this server still answers after it took itself off the list.
        #[go = "the manual says 10ms."]
        delay: Duration = millis(300),
    }
}
