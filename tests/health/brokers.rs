//! A server is as ready as what it needs.

use crate::support::{Room, probed, ready, started};
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_goes_and_comes_with_nats_and_etcd() {
    let (mut nats, mut etcd) = (NatsServer::start(&[]), Etcd::start());
    let services = |config: &mut pitaya_runtime::config::Config| {
        config.cluster.rpc.client.nats.connect = nats.url();
        config.cluster.rpc.server.nats.connect = nats.url();
        config.cluster.sd.etcd.endpoints = vec![etcd.endpoint()];
        config.cluster.sd.etcd.heartbeat.ttl = Duration::from_secs(5);
        config.cluster.sd.etcd.shutdown.delay = Duration::ZERO;
        config.groups.etcd.endpoints = vec![etcd.endpoint()];
    };
    let app = started(probed("game").handlers(Room::default()).configure(services).clustered()).await;
    let at = app.admin_address().expect("open");
    ready(at, 200, "").await;

    nats.kill();
    let body = ready(at, 503, "transport: no connection to other servers\n").await;
    assert!(body.contains("app: ok\n") && body.contains("discovery: ok\n"), "{body}");
    nats.restart();
    ready(at, 200, "").await;

    etcd.kill();
    let body = ready(at, 503, "discovery: its service does not answer: servers are those last seen\n").await;
    assert!(body.contains("app: ok\n") && body.contains("transport: ok\n"), "{body}");
    etcd.restart();
    ready(at, 200, "").await;

    // Neither is asked by the probe: one that hangs does not hang the answer.
    etcd.freeze();
    ready(at, 503, "discovery: ").await;
    etcd.thaw();
    ready(at, 200, "").await;
    app.shutdown().await;
}
