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

/// Names out of Go's manual and its older versions, from 0.1 on. None of them does anything in Go Pitaya v3.
pub(crate) const ALIASES: &[Alias] = &[
    // 0.1: before a second transport had settings of its own.
    alias("pitaya.buffer.cluster.rpc.server.messages", "pitaya.cluster.rpc.server.nats.buffer.messages"),
    alias("pitaya.buffer.cluster.rpc.server.push", "pitaya.cluster.rpc.server.nats.buffer.push"),
    alias("pitaya.datacompression", "pitaya.handler.messages.compression"),
    alias("pitaya.metrics.tags", "pitaya.metrics.additionallabels"),
    alias("pitaya.cluster.rpc.client.nats.maxreconnects", "pitaya.cluster.rpc.client.nats.maxreconnectionretries"),
    alias("pitaya.cluster.rpc.server.nats.maxreconnects", "pitaya.cluster.rpc.server.nats.maxreconnectionretries"),
    // Until v1.
    alias("pitaya.game", "pitaya.metrics.game"),
    alias("pitaya.concurrency.remote.service", "pitaya.cluster.rpc.server.nats.services"),
    alias("pitaya.buffer.cluster.rpc.server.nats.messages", "pitaya.cluster.rpc.server.nats.buffer.messages"),
    alias("pitaya.buffer.cluster.rpc.server.nats.push", "pitaya.cluster.rpc.server.nats.buffer.push"),
    alias("pitaya.metrics.additionaltags", "pitaya.metrics.additionallabels"),
    alias("pitaya.router.ratelimiting.limit", "pitaya.conn.ratelimiting.limit"),
    alias("pitaya.router.ratelimiting.interval", "pitaya.conn.ratelimiting.interval"),
    alias("pitaya.router.ratelimiting.forcedisable", "pitaya.conn.ratelimiting.forcedisable"),
    alias("pitaya.worker.redis.address", "pitaya.worker.redis.serverurl"),
    // Until v2.6.
    alias("pitaya.metrics.periodicmetrics.period", "pitaya.metrics.period"),
    alias("pitaya.metrics.consttags", "pitaya.metrics.constlabels"),
    alias("pitaya.metrics.prometheus.additionaltags", "pitaya.metrics.additionallabels"),
    alias("pitaya.cluster.sd.etcd.syncserversparallelism", "pitaya.cluster.sd.etcd.syncservers.parallelism"),
    // Until v2.9.
    alias("pitaya.metrics.prometheus.additionallabels", "pitaya.metrics.additionallabels"),
    // In the manual alone.
    alias("pitaya.buffer.agent.writetimeout", "pitaya.buffer.agent.conntimeout"),
    alias("pitaya.cluster.sd.etcd.servertypeblacklist", "pitaya.cluster.sd.etcd.servertypesblacklist"),
    alias("pitaya.worker.redis.url", "pitaya.worker.redis.serverurl"),
];

const IN_THEIR_SESSION: &str =
    "messages wait in their own session, not in a queue for all; set `pitaya.limits.inflight`";
const BY_TOKIO: &str =
    "every session is served in order and all sessions at the same time, by the threads of the Tokio runtime";
const LEASE: &str = "a lease is renewed at a third of its time; set `pitaya.cluster.sd.etcd.heartbeat.ttl`";
const ETCD_PINGS: &str = "a connection to etcd is asked every 6s whether it lives, and has 3s to answer";
const GRPC_ADDRESS: &str =
    "the program says in the server's metadata where it is reached, under `grpcHost` and `grpcPort`";
const GRPC_PINGS: &str = "it was never part of a release of Go's";

/// Keys that set up parts which Go's server is or was made of, and this one is not.
pub(crate) const RETIRED: &[Retired] = &[
    retired(
        "pitaya.buffer.agent.messages",
        "what waits for a client is counted in bytes, and nobody waits for it; set `pitaya.limits.outbox`",
    ),
    retired("pitaya.buffer.handler.localprocess", IN_THEIR_SESSION),
    retired("pitaya.buffer.handler.remoteprocess", IN_THEIR_SESSION),
    retired("pitaya.buffer.timer", "a timer runs on a task of its own, and nothing waits for it"),
    retired("pitaya.concurrency.handler.dispatch", BY_TOKIO),
    retired("pitaya.concurrency.handler.function", BY_TOKIO),
    retired("pitaya.concurrency.handler.localprocess", BY_TOKIO),
    retired("pitaya.concurrency.handler.remoteprocess", BY_TOKIO),
    retired("pitaya.concurrency.agent.messages", BY_TOKIO),
    retired("pitaya.concurrency.agent.write", BY_TOKIO),
    retired("pitaya.concurrency.cluster.rpc.server.messages", BY_TOKIO),
    retired("pitaya.concurrency.cluster.rpc.server.push", BY_TOKIO),
    retired("pitaya.concurrency.timer", BY_TOKIO),
    retired("pitaya.cluster.rpc.client.grpc.connection.time", GRPC_PINGS),
    retired("pitaya.cluster.rpc.client.grpc.connection.timeout", GRPC_PINGS),
    retired("pitaya.cluster.rpc.server.grpc.connection.time", GRPC_PINGS),
    retired("pitaya.cluster.rpc.server.grpc.connection.timeout", GRPC_PINGS),
    retired("pitaya.cluster.rpc.server.grpc.address", GRPC_ADDRESS),
    retired("pitaya.cluster.rpc.server.grpc.externalport", GRPC_ADDRESS),
    retired("pitaya.cluster.rpc.server.loopbackenabled", "a call that names this server goes the way of all calls"),
    retired(
        "pitaya.cluster.sd.etcd.bootstrap.timeout",
        "the start waits for etcd as `pitaya.cluster.sd.etcd.grantlease` says",
    ),
    retired("pitaya.cluster.sd.etcd.dialkeepalivetime", ETCD_PINGS),
    retired("pitaya.cluster.sd.etcd.dialkeepalivetimeout", ETCD_PINGS),
    retired("pitaya.cluster.sd.etcd.heartbeat.interval", LEASE),
    retired("pitaya.groups.etcd.leasettl", "a group's time to live is given where the group is created"),
    retired(
        "pitaya.metrics.prometheus.summaryobjectives",
        "summaries of the framework have fixed quantiles; own metrics have `objectives` each",
    ),
];
