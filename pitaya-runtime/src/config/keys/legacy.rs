//! Names that Go's files may hold and that are no keys here. Both kinds are accepted, with a warning.

/// An older or a misprinted name of a key.
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
}

/// A key of Go's without a meaning here.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) name: &'static str,
    /// What does its work here.
    pub(crate) instead: &'static str,
}

const fn alias(name: &'static str, key: &'static str) -> Alias {
    Alias { name, key }
}

const fn retired(name: &'static str, instead: &'static str) -> Retired {
    Retired { name, instead }
}

/// Names out of Go's manual and older versions. None of them does anything in Go Pitaya v3.
pub(crate) const ALIASES: &[Alias] = &[
    alias("pitaya.buffer.agent.writetimeout", "pitaya.buffer.agent.conntimeout"),
    alias("pitaya.cluster.sd.etcd.servertypeblacklist", "pitaya.cluster.sd.etcd.servertypesblacklist"),
    alias("pitaya.cluster.sd.etcd.syncserversparallelism", "pitaya.cluster.sd.etcd.syncservers.parallelism"),
    alias("pitaya.worker.redis.url", "pitaya.worker.redis.serverurl"),
    alias("pitaya.metrics.consttags", "pitaya.metrics.constlabels"),
    alias("pitaya.metrics.prometheus.additionaltags", "pitaya.metrics.additionallabels"),
    alias("pitaya.metrics.tags", "pitaya.metrics.additionallabels"),
    alias("pitaya.concurrency.remote.service", "pitaya.cluster.rpc.server.nats.services"),
    alias("pitaya.buffer.cluster.rpc.server.nats.messages", "pitaya.cluster.rpc.server.nats.buffer.messages"),
    alias("pitaya.buffer.cluster.rpc.server.nats.push", "pitaya.cluster.rpc.server.nats.buffer.push"),
];

/// Keys that size the parts Go's server is made of, and this one is not.
pub(crate) const RETIRED: &[Retired] = &[
    retired(
        "pitaya.buffer.agent.messages",
        "what waits for a client is counted in bytes, and nobody waits for it; set `pitaya.limits.outbox`",
    ),
    retired(
        "pitaya.buffer.handler.localprocess",
        "messages wait in their own session, not in a queue for all; set `pitaya.limits.inflight`",
    ),
    retired(
        "pitaya.buffer.handler.remoteprocess",
        "messages wait in their own session, not in a queue for all; set `pitaya.limits.inflight`",
    ),
    retired(
        "pitaya.concurrency.handler.dispatch",
        "every session is served in order and all sessions at the same time, by the threads of the Tokio runtime",
    ),
];
