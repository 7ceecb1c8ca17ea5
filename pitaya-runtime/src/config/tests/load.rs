//! Sources, precedence, names, and what is said about mistakes.

use std::{ffi::OsString, time::Duration};

use super::*;
use crate::config::{ByteSize, ConfigProblem, Origin, SerializerType};

#[test]
fn defaults_are_valid() {
    assert_eq!(Config::default().validate(), []);
    assert_eq!(Config::edge().validate(), []);
    assert_eq!(load_env(&[]).unwrap().config, Config::default());
    assert_eq!(Config::edge().limits.connections.peraddress, 256);
    assert_eq!(Config::edge().limits.accept.rate, 1_000);
}

#[test]
fn sources_are_read_over_other_settings_than_the_defaults() {
    let over = |environment: &[(&str, &str)]| {
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::edge().read_over(None, environment).unwrap().config
    };
    assert_eq!(over(&[]), Config::edge());
    let mut changed = Config::edge();
    changed.limits.connections.peraddress = 20;
    assert_eq!(over(&[("PITAYA_LIMITS_CONNECTIONS_PERADDRESS", "20")]), changed);
}

#[test]
fn a_budget_that_holds_no_packet_is_refused() {
    let config = |buffers| load_env(&[("PITAYA_LIMITS_BUFFERS", buffers)]);
    assert_eq!(config("1MiB").unwrap().config.limits.buffers, ByteSize::mib(1));
    assert!(config("1000KiB").unwrap_err().to_string().contains("must hold one packet"));
}

#[test]
fn a_variable_wins_over_the_file_and_the_file_over_the_default() {
    let file = "pitaya:\n  heartbeat:\n    interval: 10s\n  session:\n    unique: false\n";
    let interval = |environment: &[_]| load("config.yaml", file, environment).unwrap().config.heartbeat.interval;
    assert_eq!(Config::default().heartbeat.interval, Duration::from_secs(30));
    assert_eq!(interval(&[]), Duration::from_secs(10));
    assert_eq!(interval(&[("PITAYA_HEARTBEAT_INTERVAL", "20s")]), Duration::from_secs(20));
    // An empty variable is not set.
    assert_eq!(interval(&[("PITAYA_HEARTBEAT_INTERVAL", "")]), Duration::from_secs(10));
    // The rest of the section of the file stays.
    assert!(!load("config.yaml", file, &[("PITAYA_SESSION_DRAIN_ENABLED", "t")]).unwrap().config.session.unique);
}

#[test]
fn names_do_not_depend_on_case_and_dots_may_replace_nesting() {
    for file in [
        r#"{"pitaya": {"heartbeat": {"interval": "5s"}}}"#,
        r#"{"Pitaya": {"HeartBeat.Interval": "5s"}}"#,
        r#"{"pitaya.heartbeat": {"INTERVAL": "5s"}}"#,
        r#"{"PITAYA.HEARTBEAT.INTERVAL": 5000000000}"#,
    ] {
        let config = load("config.JSON", file, &[]).unwrap().config;
        assert_eq!(config.heartbeat.interval, Duration::from_secs(5), "{file}");
    }
    let twice = r#"{"pitaya": {"heartbeat": {"interval": "5s"}}, "pitaya.heartbeat.interval": "6s"}"#;
    let errors = load("config.json", twice, &[]).unwrap_err();
    assert_eq!(
        messages(&errors),
        ["pitaya.heartbeat.interval = .. (config.json): set twice here, by two names or spellings; leave one"]
    );
}

#[test]
fn other_sections_belong_to_the_application() {
    let file = "[chat]\nroom = 5\n[pitaya.session]\nunique = false\n";
    let loaded = load("config.toml", file, &[("CHAT_ROOM", "6"), ("PATH", "/bin")]).unwrap();
    assert!(!loaded.config.session.unique);
    assert_eq!(loaded.warnings, []);

    for file in ["heartbeat: {interval: 5s}", "# nothing"] {
        let loaded = load("config.yaml", file, &[]).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.warnings[0].text, "nothing is set below this name in the file");
    }
}

#[test]
fn all_problems_are_told_at_once_with_their_place() {
    let file = "\
        [pitaya]\nserializertype = 3\n\
        [pitaya.hartbeat]\ninterval = '5s'\n\
        [pitaya.heartbeat]\ninterval = '5x'\n\
        [pitaya.session.drain]\nperiod = 0\n\
        [pitaya.limits]\npacket = '1MiB'\n\
        [pitaya.nothing]\nlike = 'this'\n";
    let environment = [
        ("PITAYA_SESSION_UNIQUE", "maybe"),
        ("PITAYA_CLUSTER_RPC_SERVER_GRPC_PORT", "70000"),
        ("PITAYA_LIMITS_INFLIGHT", "0"),
    ];
    let mut found = messages(&load("config.toml", file, &environment).unwrap_err());
    found.sort();
    let mut expected = [
        r#"pitaya.heartbeat.interval = "5x" (config.toml): unknown unit `x`; write for example 30s or 1m30s"#,
        r#"pitaya.serializertype = 3 (config.toml): write 1 or json, 2 or protobuf"#,
        r#"pitaya.session.drain.period = "0s" (config.toml): must be longer than nothing"#,
        r#"pitaya.session.unique = "maybe" (PITAYA_SESSION_UNIQUE): write true or false"#,
        r#"pitaya.cluster.rpc.server.grpc.port = "70000" (PITAYA_CLUSTER_RPC_SERVER_GRPC_PORT): write a whole number from 0 to 65535"#,
        r#"pitaya.limits.inflight = 0 (PITAYA_LIMITS_INFLIGHT): must be at least 1"#,
        r#"pitaya.limits.packet = "1MiB" (config.toml): this is a section; below it stand initial, rate, size, timeout"#,
        r#"unknown key `pitaya.hartbeat.interval` (config.toml); did you mean `pitaya.heartbeat.interval`?"#,
        r#"unknown key `pitaya.nothing.like` (config.toml)"#,
    ];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn errors_are_typed_and_print_one_line_each() {
    let errors = load_env(&[("PITAYA_HEARTBEAT_INTERVAL", "30"), ("PITAYA_LIMITS_OUTBOX", "much")]).unwrap_err();
    let ConfigProblem::Value { key, origin, .. } = &errors.0[0] else { panic!("{errors}") };
    assert_eq!(key, "pitaya.heartbeat.interval");
    assert_eq!(*origin, Origin::Variable("PITAYA_HEARTBEAT_INTERVAL".to_owned()));
    assert_eq!(
        errors.to_string(),
        "the configuration cannot be used, 2 problems:\n  \
         pitaya.heartbeat.interval = \"30\" (PITAYA_HEARTBEAT_INTERVAL): the unit is missing after `30`; \
         write for example 30s or 1m30s\n  \
         pitaya.limits.outbox = \"much\" (PITAYA_LIMITS_OUTBOX): a number of bytes is wanted; \
         write for example 65536, 64KiB or 1MiB"
    );
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let loaded = load_env(&[("PITAYA_HARTBEAT_INTERVAL", "5s"), ("PITAYA_HOME", "/srv")]).unwrap();
    assert_eq!(loaded.config, Config::default());
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "PITAYA_HARTBEAT_INTERVAL: no key has this variable; it is not looked at; did you mean `PITAYA_HEARTBEAT_INTERVAL`?",
            "PITAYA_HOME: no key has this variable; it is not looked at",
        ]
    );
}

#[test]
fn an_order_for_a_run_is_no_setting() {
    let environment = [("PITAYA_UPDATE_ROUTES_LOCK", "1"), ("PITAYA_GO_DIR", "/src/pitaya")];
    let loaded = load_env(&environment).unwrap();
    assert_eq!((loaded.config, loaded.warnings.len()), (Config::default(), 0));
    // Exactly these: a longer name may be a slip.
    assert_eq!(load_env(&[("PITAYA_GO_DIRS", "/src")]).unwrap().warnings.len(), 1);
}

#[test]
fn keys_without_an_effect_are_accepted_with_a_warning() {
    let file = "pitaya: {buffer: {agent: {messages: 100}, handler: {localprocess: 20, remoteprocess: 20}}}";
    let loaded = load("config.yaml", file, &[("PITAYA_CONCURRENCY_HANDLER_DISPATCH", "25")]).unwrap();
    assert_eq!(loaded.config, Config::default());
    let warnings: Vec<_> =
        loaded.warnings.iter().map(|warning| (warning.key.as_str(), warning.text.as_str())).collect();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert_eq!(
        warnings[0],
        (
            "pitaya.buffer.agent.messages",
            "has no effect here: what waits for a client is counted in bytes, and nobody waits for it; \
             set `pitaya.limits.outbox`"
        )
    );
    assert_eq!(warnings[3].0, "pitaya.concurrency.handler.dispatch");
}

#[test]
fn old_names_are_accepted_with_a_warning_and_yield_to_the_own_name() {
    let old = "[pitaya.worker.redis]\nurl = 'old:1'\n";
    let loaded = load("config.toml", old, &[]).unwrap();
    assert_eq!(loaded.config.worker.redis.serverurl, "old:1");
    assert_eq!(loaded.warnings[0].text, "an old name; write `pitaya.worker.redis.serverurl`");

    let both = "[pitaya.worker.redis]\nurl = 'old:1'\nserverurl = 'new:1'\n";
    assert_eq!(load("config.toml", both, &[]).unwrap().config.worker.redis.serverurl, "new:1");
    let variable = [("PITAYA_WORKER_REDIS_URL", "variable:1")];
    assert_eq!(load("config.toml", both, &variable).unwrap().config.worker.redis.serverurl, "variable:1");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    for (name, text, why) in [
        ("config.ini", "", "the name must end with .toml, .yaml, .yml or .json"),
        ("config.toml", "pitaya = ", "line 1, column 10: "),
        ("config.json", "[1]", "it must hold an object"),
        ("config.yaml", "pitaya: [", "while parsing"),
    ] {
        let errors = load(name, text, &[("PITAYA_SESSION_UNIQUE", "maybe")]).unwrap_err();
        assert!(matches!(&errors.0[0], ConfigProblem::File { .. }), "{errors}");
        assert!(errors.0[0].to_string().contains(why), "{name}: {errors}");
        assert_eq!(errors.0.len(), 2, "the environment is read as well: {errors}");
    }
    let missing = Config::from_sources(Some(std::path::Path::new("nowhere/config.toml")), []).unwrap_err();
    assert!(missing.to_string().contains("nowhere/config.toml: cannot be read"), "{missing}");
}

#[test]
fn values_are_checked_together() {
    let problems = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config.validate().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        problems(|config| config.heartbeat.interval = Duration::from_millis(1500)),
        [r#"pitaya.heartbeat.interval = "1.5s": clients are told whole seconds, at least one; write for example 30s"#]
    );
    assert_eq!(
        problems(|config| config.limits.packet.size = crate::config::ByteSize::mib(16)),
        [r#"pitaya.limits.packet.size = "16MiB": a packet is 1 to 16777215 bytes long"#]
    );
    assert_eq!(
        problems(|config| config.limits.handshake.size = crate::config::ByteSize::kib(65)),
        [r#"pitaya.limits.handshake.size = "65KiB": must fit `pitaya.limits.packet.initial`, which is 64KiB"#]
    );
    assert_eq!(problems(|config| config.cluster.sd.etcd.user = "me".to_owned()).len(), 1);
    assert_eq!(problems(|config| config.limits.accept.burst = 5).len(), 1);
    // Beyond what files can say, and beyond the clock.
    let beyond = problems(|config| {
        config.limits.handshake.timeout = Duration::MAX;
        config.session.drain.timeout = Duration::from_secs(i64::MAX as u64);
    });
    let text = "too long: the longest duration is 2562047h47m16.854775807s";
    assert!(beyond.len() == 2 && beyond.iter().all(|problem| problem.ends_with(text)), "{beyond:?}");

    // A value that could not be read is not held against its neighbour.
    let environment = [("PITAYA_LIMITS_HANDSHAKE_SIZE", "128KiB"), ("PITAYA_LIMITS_PACKET_INITIAL", "1MXB")];
    assert_eq!(load_env(&environment).unwrap_err().0.len(), 1);
}

#[test]
fn every_problem_names_a_key() {
    // All values at zero or empty: whatever is checked is found wrong, under the name of a key.
    let mut config = Config::default();
    config.walk(&mut |_, setting| {
        let nothing = [Value::from(""), serde_json::json!([]), serde_json::json!({}), Value::from(0)];
        let _ = nothing.iter().find(|value| setting.read(value).is_ok());
    });
    let keys = settings(&Config::default());
    let problems = config.validate();
    assert!(problems.len() > 40, "{}", problems.len());
    for problem in problems {
        let ConfigProblem::Value { key, .. } = problem else { panic!("{problem}") };
        assert!(keys.contains_key(key.as_str()), "{key}");
    }
}

#[test]
fn the_tree_can_be_a_field_of_the_applications_own_settings() {
    #[derive(serde::Deserialize)]
    struct App {
        rooms: u32,
        pitaya: Config,
    }
    let app: App = serde_json::from_str(
        r#"{"rooms": 3, "pitaya": {"serializertype": "protobuf", "worker": {"redis": {"url": "r:1"}}}}"#,
    )
    .unwrap();
    assert_eq!(app.rooms, 3);
    assert_eq!(app.pitaya.serializertype, SerializerType::Protobuf);
    assert_eq!(app.pitaya.worker.redis.serverurl, "r:1");

    let error = serde_json::from_str::<Config>(r#"{"sesion": {"unique": true}}"#).unwrap_err().to_string();
    assert!(error.contains("did you mean `pitaya.session.unique`?"), "{error}");
}

/// Of a Service `pitaya`, and of one whose name makes a variable of ours.
#[test]
fn variables_of_kubernetes_are_told_by_their_form() {
    let links = [
        ("PITAYA_SERVICE_HOST", "10.0.0.11"),
        ("PITAYA_SERVICE_PORT", "9090"),
        ("PITAYA_SERVICE_PORT_METRICS", "9090"),
        ("PITAYA_PORT", "tcp://10.0.0.11:9090"),
        ("PITAYA_PORT_9090_TCP", "tcp://10.0.0.11:9090"),
        ("PITAYA_PORT_9090_TCP_PROTO", "tcp"),
        ("PITAYA_PORT_9090_TCP_PORT", "9090"),
        ("PITAYA_PORT_9090_TCP_ADDR", "10.0.0.11"),
        ("PITAYA_METRICS_PROMETHEUS_SERVICE_HOST", "fd00::b"),
        ("PITAYA_METRICS_PROMETHEUS_SERVICE_PORT", "9090"),
        ("PITAYA_METRICS_PROMETHEUS_PORT", "tcp://[fd00::b]:9090"),
        ("PITAYA_METRICS_PROMETHEUS_PORT_53_UDP", "udp://[fd00::b]:53"),
        ("PITAYA_METRICS_PROMETHEUS_PORT_53_UDP_ADDR", "fd00::b"),
        ("PITAYA_CLUSTER_RPC_SERVER_GRPC_PORT", "tcp://10.0.0.12:3434"),
    ];
    let loaded = load_env(&links).unwrap();
    assert_eq!(loaded.config, Config::default());
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["PITAYA_SERVICE_HOST: set by Kubernetes for a Service, and 13 more like it, and not looked at; \
          `enableServiceLinks: false` in the Pod's spec keeps such variables away"]
    );
    // What is set on purpose still holds, and a mistake is still one.
    let port = |value: &str| load_env(&[("PITAYA_METRICS_PROMETHEUS_PORT", value)]);
    assert_eq!(port("9191").unwrap().config.metrics.prometheus.port, 9191);
    for mistake in ["tcp://collector:9090", "10.0.0.11:9090", "http://10.0.0.11:9090"] {
        port(mistake).unwrap_err();
    }
    let near = load_env(&[("PITAYA_METRICS_PROMETHEUS_PROT", "tcp://10.0.0.11:9090")]).unwrap();
    assert!(near.warnings[0].text.contains("did you mean `PITAYA_METRICS_PROMETHEUS_PORT`?"), "{:?}", near.warnings);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_refused() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let bytes = |name: &str| (OsString::from(name), OsString::from_vec(b"M\xfcnchen".to_vec()));
    let errors = Config::read(None, [bytes("PITAYA_METRICS_GAME"), bytes("PATH")].into_iter()).unwrap_err();
    assert_eq!(
        messages(&errors),
        ["pitaya.metrics.game = .. (PITAYA_METRICS_GAME): the value of the variable is not UTF-8"]
    );
    // It is no setting, so it is no mistake.
    assert_eq!(Config::read(None, [bytes("PITAYA_HOME")].into_iter()).unwrap().warnings.len(), 1);
}

#[test]
fn the_address_of_a_collector_is_checked() {
    let endpoint = |value: &str| load_env(&[("PITAYA_TRACING_ENDPOINT", value)]);
    for good in ["http://collector:4317", "HTTP://10.0.0.1:4317/v1", "http://[::1]:4317", "http://collector"] {
        endpoint(good).unwrap_or_else(|errors| panic!("{errors}"));
    }
    for (wrong, shown) in [
        ("collector:4317", "collector:4317"),
        ("ftp://x", "ftp://x"),
        ("https://user:word@collector:4317", "https://..@collector:4317"),
        ("http://", "http://"),
        ("http://:4317", "http://:4317"),
        ("http://collector:43x17", "http://collector:43x17"),
        ("http://collector:99999", "http://collector:99999"),
        ("http://collector:0", "http://collector:0"),
        ("http://collector:", "http://collector:"),
        ("http://[::1", "http://[::1"),
        ("http://::1:4317", "http://::1:4317"),
    ] {
        let expected = format!(
            "pitaya.tracing.endpoint = \"{shown}\" (PITAYA_TRACING_ENDPOINT): the collector's address is wanted; write \
             for example http://collector:4317. TLS is not spoken to a collector"
        );
        assert_eq!(messages(&endpoint(wrong).unwrap_err())[..1], [expected]);
    }
    // The exporter's library writes the address to the log.
    for login in ["http://user:word@127.0.0.1:1", "http://word@collector:4317/v1"] {
        let errors = messages(&endpoint(login).unwrap_err());
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert!(error.contains("no login is wanted in the address") && !error.contains("word"), "{error}");
    }
}

#[test]
fn a_time_out_of_a_route_that_there_cannot_be_is_refused() {
    let routes = |value: &str| load_env(&[("PITAYA_CLUSTER_TIMEOUT_ROUTES", value)]);
    for good in ["room.match.find=3s", "room.match.*=3s", "room.*=3s"] {
        routes(good).unwrap_or_else(|errors| panic!("{errors}"));
    }
    for wrong in ["*", "room", "room.g", "room.*.x", "room..x", ".*", "a.b.c.*", "a.b.c.d", "room*.*"] {
        let errors = messages(&routes(&format!("{wrong}=3s")).unwrap_err()).join(" ");
        assert!(errors.contains(&format!("`{wrong}` is no route: write type.service.method")), "{errors}");
    }
}

#[test]
fn the_address_of_statsd_is_checked() {
    let host = |value: &str| load_env(&[("PITAYA_METRICS_STATSD_HOST", value)]);
    for good in ["localhost:9125", "10.0.0.1:8125", "[::1]:9125", "[fe80::1%2]:9125", "stats_d.metrics.svc:1"] {
        host(good).unwrap_or_else(|errors| panic!("{errors}"));
    }
    for wrong in ["localhost", ":9125", "udp://localhost:9125", "0.0.0.0:0", "a:99999", "a:+1", "::1:9125", "a b:1"] {
        let errors = messages(&host(wrong).unwrap_err()).join(" ");
        assert!(
            errors.contains("pitaya.metrics.statsd.host") && errors.contains("write host:port"),
            "{wrong}: {errors}"
        );
    }
}

/// Names of all versions of Go's, from 0.1 on, and slips in them.
#[test]
fn names_of_older_versions_say_what_became_of_them() {
    let file = "
pitaya:
  game: chess
  dataCompression: false
  metrics:
    periodicMetrics: {period: 20s}
    constTags: {zone: three}
  router: {ratelimiting: {limit: 7}}
  concurrency: {remote: {service: 9}, timer: 3}
  cluster:
    sd: {etcd: {heartbeat: {interval: 20s}, syncserversparallelism: 5}}
    rpc: {server: {grpc: {externalport: 1}, loopbackEnabled: true}, client: {nats: {maxreconnects: 4}}}
";
    let loaded = load("config.yaml", file, &[]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.metrics.game, "chess");
    assert!(!config.handler.messages.compression);
    assert_eq!(config.metrics.period, Duration::from_secs(20));
    assert_eq!(config.metrics.constlabels["zone"], "three");
    assert_eq!(config.conn.ratelimiting.limit, 7);
    assert_eq!(config.cluster.rpc.server.nats.services, 9);
    assert_eq!(config.cluster.sd.etcd.syncservers.parallelism, 5);
    assert_eq!(config.cluster.rpc.client.nats.maxreconnectionretries, 4);
    assert_eq!(loaded.warnings.len(), 12, "{:?}", loaded.warnings);
    let text = |key: &str| {
        let warning = loaded.warnings.iter().find(|warning| warning.key == key);
        &*warning.unwrap_or_else(|| panic!("{key}: {:?}", loaded.warnings)).text
    };
    assert_eq!(text("pitaya.metrics.periodicmetrics.period"), "an old name; write `pitaya.metrics.period`");
    assert!(text("pitaya.cluster.sd.etcd.heartbeat.interval").contains("set `pitaya.cluster.sd.etcd.heartbeat.ttl`"));
    assert!(text("pitaya.concurrency.timer").starts_with("has no effect here: "));

    let slips = "
pitaya.metrics.periodicMetric.period: 20s
pitaya.buff.handler.localprocess: 20
pitaya.router.ratelimitting.interval: 1s
";
    let mut found = messages(&load("config.yaml", slips, &[]).unwrap_err());
    found.sort();
    assert_eq!(
        found,
        [
            "unknown key `pitaya.buff.handler.localprocess` (config.yaml); did you mean \
             `pitaya.buffer.handler.localprocess`? It has no effect here: messages wait in their own session, not in a \
             queue for all; set `pitaya.limits.inflight`",
            "unknown key `pitaya.metrics.periodicmetric.period` (config.yaml); did you mean `pitaya.metrics.period`?",
            "unknown key `pitaya.router.ratelimitting.interval` (config.yaml); did you mean \
             `pitaya.conn.ratelimiting.interval`?",
        ]
    );
    let variable = load_env(&[("PITAYA_METRICS_PERIODICMETRIC_PERIOD", "20s")]).unwrap();
    assert!(variable.warnings[0].text.contains("did you mean `PITAYA_METRICS_PERIOD`?"), "{:?}", variable.warnings);
}

#[test]
fn passwords_are_not_shown() {
    let loaded = load_env(&[("PITAYA_WORKER_REDIS_PASSWORD", "hush")]).unwrap();
    assert_eq!(loaded.config.worker.redis.password.expose(), "hush");
    assert!(!format!("{loaded:?}").contains("hush"));
    assert!(!serde_json::to_string(&loaded.config).unwrap().contains("hush"));
    let errors = load("config.json", r#"{"pitaya": {"worker": {"redis": {"password": ["hush"]}}}}"#, &[]).unwrap_err();
    assert!(!errors.to_string().contains("hush"), "{errors}");
}
