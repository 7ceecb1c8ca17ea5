//! The keys of groups, modules and workers.

use std::time::Duration;

use super::{client_tls, hours, secs, section};
use crate::config::Secret;

section! {
    /// `pitaya.groups`: who hears a broadcast.
    "pitaya.groups" Groups {
        /// Groups that one session may be in by `groups.join`. A join beyond fails.
        #[go = "has no memberships of sessions."]
        persession: usize = 100,
        /// Ended sessions that may wait for a store or a server that does not answer, to be taken out of their groups. One
        /// beyond stays a member until its frontend is gone.
        departures: usize = 65_536,
        /// Longest time that an ended session stays in its groups while its close hooks (`#[on(session_closed)]`) run, so
        /// that these can tell the groups. 0 does not wait.
        #[go = "has no memberships of sessions."]
        hookwait: Duration = secs(10),
        etcd: EtcdGroups,
        memory: MemoryGroups,
    }
}

section! {
    /// `pitaya.groups.etcd`: groups that all servers see.
    "pitaya.groups.etcd" EtcdGroups {
        /// The members of the etcd cluster, `host:port` or `https://host:port`.
        #[redacted = "logins"]
        endpoints: Vec<String> = vec!["localhost:2379".to_owned()],
        /// The name to log in with; empty: no login.
        #[go = "has no login here."]
        user: String = String::new(),
        /// The password to log in with.
        #[go = "has no login here."]
        pass: Secret = Secret::default(),
        /// Put before every key in etcd.
        prefix: String = "pitaya/".to_owned(),
        /// How long connecting may take.
        dialtimeout: Duration = secs(5),
        /// How long one change may take.
        transactiontimeout: Duration = secs(5),
        tls: EtcdGroupsTls,
    }
}

client_tls! {
    "`pitaya.groups.etcd.tls`: TLS to the etcd of the groups, as `pitaya.cluster.sd.etcd.tls`."
    "pitaya.groups.etcd.tls" EtcdGroupsTls
}

section! {
    /// `pitaya.groups.memory`: groups of one process.
    "pitaya.groups.memory" MemoryGroups {
        /// Groups at the same time; one takes about 400 bytes and its name. Another one is refused. Those whose time is up count
        /// until the next search. `0`: no limit.
        #[go = "has no limit."]
        total: usize = 1_000_000,
        /// Members of one group. Another one is refused. `0`: no limit.
        #[go = "has no limit."]
        pergroup: usize = 1_000_000,
        /// Groups that one uid may be in, by its sessions and by `add_member`. Another one is refused. `0`: no limit.
        #[go = "has no limit."]
        peruid: usize = 1_000,
        /// Time between two searches for groups whose time is up.
        tickduration: Duration = secs(30),
    }
}

section! {
    /// `pitaya.modules`: parts that an application adds.
    "pitaya.modules" Modules {
        bindingstorage: BindingStorage,
    }
}

section! {
    /// `pitaya.modules.bindingstorage`: which frontend a user is on.
    "pitaya.modules.bindingstorage" BindingStorage {
        etcd: EtcdBindings,
    }
}

section! {
    /// `pitaya.modules.bindingstorage.etcd`: kept in etcd.
    "pitaya.modules.bindingstorage.etcd" EtcdBindings {
        /// The members of the etcd cluster, `host:port` or `https://host:port`.
        #[redacted = "logins"]
        endpoints: Vec<String> = vec!["localhost:2379".to_owned()],
        /// The name to log in with; empty: no login.
        #[go = "has no login here."]
        user: String = String::new(),
        /// The password to log in with.
        #[go = "has no login here."]
        pass: Secret = Secret::default(),
        /// Put before every key in etcd.
        prefix: String = "pitaya/".to_owned(),
        /// How long connecting, and each call, may take.
        dialtimeout: Duration = secs(5),
        /// How long the bindings of a frontend that died are kept: at least a second.
        #[go = "the manual says 1h."]
        leasettl: Duration = hours(5),
        tls: EtcdBindingsTls,
    }
}

client_tls! {
    "`pitaya.modules.bindingstorage.etcd.tls`: TLS to the etcd of the bindings, as `pitaya.cluster.sd.etcd.tls`."
    "pitaya.modules.bindingstorage.etcd.tls" EtcdBindingsTls
}

section! {
    /// `pitaya.worker`: reliable calls, kept in Redis until they have been made.
    "pitaya.worker" Worker {
        /// Put before every key in Redis.
        namespace: String = String::new(),
        /// Jobs worked on at the same time.
        concurrency: u32 = 1,
        redis: Redis,
        retry: Retry,
    }
}

section! {
    /// `pitaya.worker.redis`: where jobs are kept.
    "pitaya.worker.redis" Redis {
        /// The server's address, `host:port`.
        #[go = "the manual writes `redis.url`, which does nothing there and is an alias here."]
        #[redacted = "logins"]
        serverurl: String = "localhost:6379".to_owned(),
        /// Connections that are kept open.
        #[go = "a text."]
        pool: u32 = 10,
        /// The password to log in with; empty: no login.
        password: Secret = Secret::default(),
    }
}

section! {
    /// `pitaya.worker.retry`: what happens to a job that failed.
    "pitaya.worker.retry" Retry {
        /// Whether a job that failed is tried again.
        enabled: bool = true,
        /// How often a job is tried again.
        #[go = "the manual says 5."]
        max: u32 = 2,
        /// The exponent of the wait before a try: the number of the try to this power, in seconds.
        #[go = "the manual says 2."]
        exponential: u32 = 5,
        /// The shortest wait before a try, in seconds.
        #[go = "the manual says 0."]
        mindelay: u32 = 10,
        /// The longest wait before a try, in seconds.
        maxdelay: u32 = 10,
        /// Up to so many seconds are added to the wait by chance.
        #[go = "the manual says 10."]
        maxrandom: u32 = 0,
    }
}
