//! Which values cannot work, each by itself and together.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::keys::Section;
use super::{ByteSize, Config, ConfigProblem, CustomMetric, Origin, duration, setting::Setting};
use crate::cluster::tls::ClientTls;

/// A packet's header holds its length in three bytes.
const LONGEST_PACKET: ByteSize = ByteSize::new(0xFF_FFFF);

const SECOND: Duration = Duration::from_secs(1);

/// Everything.
pub(super) fn all(config: &Config) -> Vec<ConfigProblem> {
    let mut problems = each(config);
    problems.extend(together(config));
    problems
}

/// Values that are wrong whatever the others are.
pub(super) fn each(config: &Config) -> Vec<ConfigProblem> {
    let mut check = Check(Vec::new());

    check.durations(&mut config.clone());
    let interval = &config.heartbeat.interval;
    check.hold(
        *interval >= SECOND && interval.subsec_nanos() == 0,
        "pitaya.heartbeat.interval",
        interval,
        "clients are told whole seconds, at least one; write for example 30s",
    );
    for (key, value) in [
        ("pitaya.buffer.agent.conntimeout", &config.buffer.agent.conntimeout),
        ("pitaya.session.drain.timeout", &config.session.drain.timeout),
        ("pitaya.session.drain.period", &config.session.drain.period),
        ("pitaya.conn.ratelimiting.interval", &config.conn.ratelimiting.interval),
        ("pitaya.limits.handshake.timeout", &config.limits.handshake.timeout),
        ("pitaya.health.deadline", &config.health.deadline),
        ("pitaya.metrics.period", &config.metrics.period),
        ("pitaya.cluster.rpc.client.grpc.dialtimeout", &config.cluster.rpc.client.grpc.dialtimeout),
        ("pitaya.cluster.rpc.client.grpc.requesttimeout", &config.cluster.rpc.client.grpc.requesttimeout),
        ("pitaya.cluster.rpc.client.nats.requesttimeout", &config.cluster.rpc.client.nats.requesttimeout),
        ("pitaya.cluster.rpc.client.nats.connectiontimeout", &config.cluster.rpc.client.nats.connectiontimeout),
        ("pitaya.cluster.rpc.client.nats.pinginterval", &config.cluster.rpc.client.nats.pinginterval),
        ("pitaya.cluster.rpc.server.nats.connectiontimeout", &config.cluster.rpc.server.nats.connectiontimeout),
        ("pitaya.cluster.rpc.server.nats.pinginterval", &config.cluster.rpc.server.nats.pinginterval),
        ("pitaya.cluster.sd.etcd.dialtimeout", &config.cluster.sd.etcd.dialtimeout),
        ("pitaya.cluster.sd.etcd.syncservers.interval", &config.cluster.sd.etcd.syncservers.interval),
        ("pitaya.cluster.sd.etcd.revoke.timeout", &config.cluster.sd.etcd.revoke.timeout),
        ("pitaya.cluster.sd.etcd.grantlease.timeout", &config.cluster.sd.etcd.grantlease.timeout),
        ("pitaya.groups.etcd.dialtimeout", &config.groups.etcd.dialtimeout),
        ("pitaya.groups.etcd.transactiontimeout", &config.groups.etcd.transactiontimeout),
        ("pitaya.groups.memory.tickduration", &config.groups.memory.tickduration),
        ("pitaya.modules.bindingstorage.etcd.dialtimeout", &config.modules.bindingstorage.etcd.dialtimeout),
    ] {
        check.hold(!value.is_zero(), key, value, "must be longer than nothing");
    }
    for (key, value) in [
        ("pitaya.cluster.sd.etcd.heartbeat.ttl", &config.cluster.sd.etcd.heartbeat.ttl),
        ("pitaya.modules.bindingstorage.etcd.leasettl", &config.modules.bindingstorage.etcd.leasettl),
    ] {
        check.hold(*value >= SECOND, key, value, "etcd counts whole seconds, at least one");
    }
    for (key, value) in [
        ("pitaya.limits.packet.initial", &config.limits.packet.initial),
        ("pitaya.limits.packet.size", &config.limits.packet.size),
    ] {
        let fits = (ByteSize::new(1)..=LONGEST_PACKET).contains(value);
        check.hold(fits, key, value, "a packet is 1 to 16777215 bytes long");
    }
    for (key, value) in [
        ("pitaya.acceptor.upgrade.size", &config.acceptor.upgrade.size),
        ("pitaya.limits.handshake.size", &config.limits.handshake.size),
        ("pitaya.limits.outbox", &config.limits.outbox),
    ] {
        check.hold(value.bytes() > 0, key, value, "must be at least one byte");
    }
    for (key, value) in [
        ("pitaya.acceptor.upgrade.lines", &config.acceptor.upgrade.lines),
        ("pitaya.limits.inflight", &config.limits.inflight),
        ("pitaya.limits.calls", &config.limits.calls),
        ("pitaya.cluster.rpc.server.nats.services", &config.cluster.rpc.server.nats.services),
        ("pitaya.cluster.rpc.server.nats.buffer.messages", &config.cluster.rpc.server.nats.buffer.messages),
        ("pitaya.cluster.rpc.server.nats.buffer.push", &config.cluster.rpc.server.nats.buffer.push),
    ] {
        check.hold(*value > 0, key, value, "must be at least 1");
    }
    for (key, value) in [
        ("pitaya.limits.inflate.ratio", &config.limits.inflate.ratio),
        ("pitaya.acceptor.backlog", &config.acceptor.backlog),
        ("pitaya.conn.ratelimiting.limit", &config.conn.ratelimiting.limit),
        ("pitaya.cluster.rpc.client.nats.maxpingsoutstanding", &config.cluster.rpc.client.nats.maxpingsoutstanding),
        ("pitaya.cluster.rpc.server.nats.maxpingsoutstanding", &config.cluster.rpc.server.nats.maxpingsoutstanding),
        ("pitaya.worker.concurrency", &config.worker.concurrency),
        ("pitaya.worker.redis.pool", &config.worker.redis.pool),
    ] {
        check.hold(*value > 0, key, value, "must be at least 1");
    }
    for (key, value) in [
        ("pitaya.cluster.rpc.client.nats.connect", &config.cluster.rpc.client.nats.connect),
        ("pitaya.cluster.rpc.server.nats.connect", &config.cluster.rpc.server.nats.connect),
        ("pitaya.worker.redis.serverurl", &config.worker.redis.serverurl),
    ] {
        check.hold(!value.is_empty(), key, value, "an address is needed");
    }
    for (key, value) in [
        ("pitaya.cluster.sd.etcd.endpoints", &config.cluster.sd.etcd.endpoints),
        ("pitaya.groups.etcd.endpoints", &config.groups.etcd.endpoints),
        ("pitaya.modules.bindingstorage.etcd.endpoints", &config.modules.bindingstorage.etcd.endpoints),
    ] {
        check.hold(!value.is_empty(), key, value, "at least one address is needed");
    }
    let host = &config.metrics.statsd.host;
    check.hold(
        is_host_and_port(host),
        "pitaya.metrics.statsd.host",
        host,
        "write host:port, for example localhost:9125",
    );
    let rate = &config.metrics.statsd.rate;
    check.hold(*rate > 0.0 && *rate <= 1.0, "pitaya.metrics.statsd.rate", rate, "must be above 0 and at most 1");
    let datagram = &config.metrics.statsd.datagram;
    check.hold(
        (512..=65_507).contains(&datagram.bytes()),
        "pitaya.metrics.statsd.datagram",
        datagram,
        "must be from 512 to 65507 bytes",
    );

    let ratio = &config.tracing.ratio;
    check.hold((0.0..=1.0).contains(ratio), "pitaya.tracing.ratio", ratio, "must be from 0 to 1");

    let endpoint = &config.tracing.endpoint;
    check.hold(
        endpoint.is_empty() || is_collector(endpoint),
        "pitaya.tracing.endpoint",
        endpoint,
        "the collector's address is wanted; write for example http://collector:4317. TLS is not spoken to a collector",
    );
    check.hold(!crate::trace::has_login(endpoint), "pitaya.tracing.endpoint", endpoint, crate::trace::LOGIN);

    let routes = &config.cluster.timeout.routes;
    for name in routes.keys().filter(|name| !is_route_or_prefix(name)) {
        check.hold(
            false,
            "pitaya.cluster.timeout.routes",
            routes,
            format!("`{name}` is no route: write type.service.method, type.service.* or type.*"),
        );
    }

    let level = &config.log.level;
    if let Some(why) = super::level::problem(level) {
        check.hold(false, "pitaya.log.level", level, why);
    }

    let tls = &config.acceptor.tls;
    for (key, value) in [
        ("pitaya.acceptor.tls.certificate", &tls.certificate),
        ("pitaya.acceptor.tls.key", &tls.key),
        ("pitaya.acceptor.tls.client.authorities", &tls.client.authorities),
    ] {
        check.path(key, value);
    }
    for value in tls.further.iter().flat_map(|(certificate, key)| [certificate, key]) {
        check.path("pitaya.acceptor.tls.further", value);
    }
    for tls in client_tls(config) {
        for (name, value) in [("authorities", &tls.authorities), ("certificate", &tls.certificate), ("key", &tls.key)] {
            check.path(&format!("{}.{name}", tls.section), value);
        }
    }
    let auth = &config.cluster.rpc.client.nats.auth;
    check.path("pitaya.cluster.rpc.client.nats.auth.nkey", &auth.nkey);
    check.path("pitaya.cluster.rpc.client.nats.auth.credentials", &auth.credentials);

    let authentication = &config.cluster.rpc.authentication;
    check.path("pitaya.cluster.rpc.authentication.file", &authentication.file);
    let tolerance = &authentication.tolerance;
    let key = "pitaya.cluster.rpc.authentication.tolerance";
    check.hold(*tolerance >= SECOND, key, tolerance, "clocks differ: at least 1s is needed");
    #[cfg(feature = "nats")]
    if !authentication.keys.expose().is_empty()
        && let Err(why) = crate::cluster::nats::Keyring::parse(authentication.keys.expose())
    {
        check.hold(false, "pitaya.cluster.rpc.authentication.keys", &authentication.keys, why);
    }

    let custom = &config.metrics.custom;
    check.metrics("pitaya.metrics.custom.summaries", &custom.summaries, true, false);
    check.metrics("pitaya.metrics.custom.histograms", &custom.histograms, false, true);
    check.metrics("pitaya.metrics.custom.gauges", &custom.gauges, false, false);
    check.metrics("pitaya.metrics.custom.counters", &custom.counters, false, false);
    check.0
}

/// Whether this is `http://host`, with or without a port and a path.
fn is_collector(endpoint: &str) -> bool {
    let Some((scheme, rest)) = endpoint.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A login has a text of its own.
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    scheme.eq_ignore_ascii_case("http") && split_authority(authority).is_some()
}

/// Whether this is a whole route, or the beginning of one with `.*` in place of the rest.
fn is_route_or_prefix(name: &str) -> bool {
    let (parts, counts) = match name.strip_suffix(".*") {
        Some(prefix) => (prefix, 1..=2),
        None => (name, 3..=3),
    };
    let parts: Vec<_> = parts.split('.').collect();
    counts.contains(&parts.len()) && parts.iter().all(|part| !part.is_empty() && !part.contains('*'))
}

/// Whether this is `host:port`, with a port that something can be sent to.
fn is_host_and_port(address: &str) -> bool {
    // By itself: it may have a zone, as in `[fe80::1%2]:9125`.
    match address.parse::<SocketAddr>() {
        Ok(address) => address.port() != 0,
        Err(_) => matches!(split_authority(address), Some((_, Some(_)))),
    }
}

/// Splits a host, which is a name or an address, IPv6 in brackets, from its port.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(end);
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)),
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        _ => return None,
    };
    is_host.then_some((host, port))
}

/// The sections about TLS of the connections that this server makes.
fn client_tls(config: &Config) -> [ClientTls; 4] {
    let cluster = &config.cluster;
    [
        cluster.rpc.client.nats.tls.files(),
        cluster.sd.etcd.tls.files(),
        config.groups.etcd.tls.files(),
        config.modules.bindingstorage.etcd.tls.files(),
    ]
}

/// Values that contradict each other.
fn together(config: &Config) -> Vec<ConfigProblem> {
    let mut check = Check(Vec::new());

    for tls in client_tls(config) {
        let both = tls.certificate.is_empty() == tls.key.is_empty();
        let key = format!("{}.certificate", tls.section);
        check.hold(both, &key, &tls.certificate, "`certificate` and `key` are needed both or neither");
    }
    let auth = &config.cluster.rpc.client.nats.auth;
    let ways = [&*auth.user, auth.token.expose(), &auth.nkey, &auth.credentials];
    check.hold(
        ways.iter().filter(|way| !way.is_empty()).count() <= 1,
        "pitaya.cluster.rpc.client.nats.auth.user",
        &auth.user,
        "one of `user`, `token`, `nkey` and `credentials` is wanted, not several",
    );
    check.hold(
        !auth.user.is_empty() || auth.pass.expose().is_empty(),
        "pitaya.cluster.rpc.client.nats.auth.user",
        &auth.user,
        "`pass` needs a `user`",
    );

    let authentication = &config.cluster.rpc.authentication;
    check.hold(
        authentication.keys.expose().is_empty() || authentication.file.is_empty(),
        "pitaya.cluster.rpc.authentication.file",
        &authentication.file,
        "one of `keys` and `file` is wanted, not both",
    );
    check.hold(
        authentication.is_set() || authentication.unsigned.is_empty(),
        "pitaya.cluster.rpc.authentication.unsigned",
        &authentication.unsigned,
        "has no effect without `keys` or `file`; set one of them too",
    );

    let (handshake, packet) = (&config.limits.handshake, &config.limits.packet);
    check.hold(
        handshake.size <= packet.initial,
        "pitaya.limits.handshake.size",
        &handshake.size,
        format!("must fit `pitaya.limits.packet.initial`, which is {}", packet.initial),
    );
    check.hold(
        packet.initial <= packet.size,
        "pitaya.limits.packet.initial",
        &packet.initial,
        format!("must not be more than `pitaya.limits.packet.size`, which is {}", packet.size),
    );
    let buffers = &config.limits.buffers;
    check.hold(
        buffers.bytes() == 0 || buffers >= &packet.size,
        "pitaya.limits.buffers",
        buffers,
        format!("must hold one packet of `pitaya.limits.packet.size`, which is {}", packet.size),
    );
    let acceptor = &config.acceptor;
    check.hold(
        !acceptor.proxyprotocol || !acceptor.trustedproxies.is_empty(),
        "pitaya.acceptor.proxyprotocol",
        &acceptor.proxyprotocol,
        "anyone could claim any address; name the proxies' networks in `pitaya.acceptor.trustedproxies`",
    );
    let limits = &config.limits;
    check.hold(
        limits.accept.rate > 0 || limits.accept.burst == 0,
        "pitaya.limits.accept.burst",
        &limits.accept.burst,
        "has no effect without `pitaya.limits.accept.rate`; set that too",
    );
    let (discovery, groups) = (&config.cluster.sd.etcd, &config.groups.etcd);
    let bindings = &config.modules.bindingstorage.etcd;
    for (key, user, pass) in [
        ("pitaya.cluster.sd.etcd.user", &discovery.user, &discovery.pass),
        ("pitaya.groups.etcd.user", &groups.user, &groups.pass),
        ("pitaya.modules.bindingstorage.etcd.user", &bindings.user, &bindings.pass),
    ] {
        let both = user.is_empty() == pass.expose().is_empty();
        check.hold(both, key, user, "`user` and `pass` are needed both or neither");
    }
    check.0
}

/// The problems found so far.
struct Check(Vec<ConfigProblem>);

impl Check {
    fn hold(&mut self, holds: bool, key: &str, setting: &dyn Setting, why: impl Into<String>) {
        if !holds {
            let value = super::shown::shown(&setting.value());
            self.0.push(ConfigProblem::Value { key: key.to_owned(), value, origin: Origin::Code, why: why.into() });
        }
    }

    /// Durations that a program sets may be longer than those of files, and beyond the clock of this machine.
    fn durations(&mut self, config: &mut Config) {
        config.walk(&mut |key, setting| {
            if setting.kind() == "duration"
                && let Err(why) = duration::from_value(&setting.value())
            {
                self.hold(false, key.name, setting, why);
            }
        });
    }

    /// The name of a file, and not the text of one: a secret in the variable that should say where it is.
    fn path(&mut self, key: &str, value: &String) {
        let is_path = !value.contains("-----BEGIN");
        self.hold(is_path, key, value, "the path of a file is wanted, and this is what should be in it");
    }

    fn metrics(&mut self, key: &str, list: &Vec<CustomMetric>, objectives: bool, buckets: bool) {
        for metric in list {
            let name = &metric.name;
            self.hold(!name.is_empty(), key, list, "a metric needs a name");
            if !objectives && !metric.objectives.is_empty() {
                self.hold(false, key, list, format!("`{name}`: only summaries have objectives"));
            }
            if !buckets && !metric.buckets.is_empty() {
                self.hold(false, key, list, format!("`{name}`: only histograms have buckets"));
            }
            let rises = metric.buckets.windows(2).all(|pair| pair[0] < pair[1]);
            self.hold(rises, key, list, format!("`{name}`: each of the buckets must be above the one before"));
            let mut quantiles: Vec<_> = metric.objectives.iter().map(|(quantile, _)| *quantile).collect();
            quantiles.sort_by(f64::total_cmp);
            let once = quantiles.windows(2).all(|pair| pair[0] < pair[1]);
            self.hold(once, key, list, format!("`{name}`: an objective is there twice"));
        }
    }
}
