//! What a server says at `-debug`: of itself, and not of the crates below it. A suite that reads line by line must find the
//! line it waits for.

use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer;
use pitaya_tests::process::Conformance;

/// A variable with a slip of the pen would be a setting that has no effect, in silence.
#[test]
fn a_variable_that_is_no_setting_is_told_of() {
    let server = Conformance::start(&[], &[("PITAYA_HARTBEAT_INTERVAL", "5s"), ("PITAYA_HEARTBEAT_INTERVAL", "9s")]);
    let lines = server.logged_before_ready();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("PITAYA_HARTBEAT_INTERVAL")).collect();
    assert!(told.len() == 1 && told[0].contains("WARN"), "{lines:#?}");
    assert!(told[0].contains("did you mean `PITAYA_HEARTBEAT_INTERVAL`?"), "{lines:#?}");
}

#[test]
fn the_ready_line_is_not_drowned() {
    let (etcd, nats) = (Etcd::start(), NatsServer::start(&[]));
    let (endpoint, url) = (etcd.endpoint(), nats.url());
    let env = [
        ("PITAYA_CLUSTER_SD_ETCD_ENDPOINTS", &*endpoint),
        ("PITAYA_CLUSTER_RPC_CLIENT_NATS_CONNECT", &*url),
        ("PITAYA_CLUSTER_RPC_SERVER_NATS_CONNECT", &*url),
    ];
    let mut server = Conformance::launch(&["-debug", "-type", "connector", "-addr", "127.0.0.1:0"], &env);
    let before = server.logged_before_ready().to_vec();
    assert!(before.iter().any(|line| line.contains("connecting to NATS")), "{before:#?}");
    assert!(before.len() <= 12, "{} lines: {before:#?}", before.len());
    assert!(server.terminate().success());
    let foreign = ["h2::", "tower::", "async_nats", "hyper", "tonic", "rustls", "mio::"];
    for line in before.into_iter().chain(server.logged()) {
        let close = ["DEBUG", "TRACE"].iter().any(|level| line.contains(level));
        assert!(!close || !foreign.iter().any(|name| line.contains(name)), "{line}");
    }
}
