//! Servers that reach each other in one way or another.

use pitaya_client::Client;
use pitaya_runtime::cluster::{EtcdGroups, GroupStore};
use pitaya_runtime::groups::memory::MemoryGroups;
use pitaya_runtime::prelude::*;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer as Nats;
use pitaya_tests::process::Conformance;
use std::time::Duration;

/// No test waits longer for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// Whether the long form of a proof was asked for: `./tests/run --long`.
pub fn long() -> bool {
    std::env::var_os("TESTS_LONG").is_some()
}

/// A way that servers reach each other, and what it needs.
pub struct World {
    way: Way,
    #[allow(dead_code, reason = "tests of other topics have this world, too, and no groups in it")]
    groups: MemoryGroups,
}

enum Way {
    /// All servers are in this process.
    Local(LocalCluster),
    /// A real broker and a real etcd, of this test alone.
    Brokers { nats: Nats, etcd: Etcd },
}

impl World {
    pub fn local() -> Self {
        Self { way: Way::Local(LocalCluster::default()), groups: MemoryGroups::new() }
    }

    pub fn brokers() -> Self {
        Self::brokers_with(&[])
    }

    /// The same, with these flags for the broker.
    pub fn brokers_with(flags: &[&str]) -> Self {
        let way = Way::Brokers { nats: Nats::start(flags), etcd: Etcd::start() };
        Self { way, groups: MemoryGroups::new() }
    }

    /// A builder for one more server of this world.
    pub fn builder(&self, kind: &str, id: &str) -> Builder {
        let builder = Builder::new(kind).server_id(id);
        match &self.way {
            Way::Local(cluster) => builder.local_cluster(cluster),
            Way::Brokers { nats, etcd } => builder
                .configure(|config| {
                    config.cluster.rpc.client.nats.connect = nats.url();
                    config.cluster.rpc.server.nats.connect = nats.url();
                    config.cluster.sd.etcd.endpoints = vec![etcd.endpoint()];
                    config.cluster.sd.etcd.heartbeat.ttl = Duration::from_secs(5);
                    config.groups.etcd.endpoints = vec![etcd.endpoint()];
                })
                .clustered(),
        }
    }

    /// The same groups for all servers that are built with this.
    #[allow(dead_code, reason = "tests of other topics have this world, too, and no groups in it")]
    pub fn shared_groups(&self, builder: Builder) -> Builder {
        match &self.way {
            Way::Local(_) => builder.groups(self.groups.clone()),
            Way::Brokers { .. } => builder.etcd_groups(),
        }
    }

    /// The groups of those servers.
    #[allow(dead_code, reason = "tests of other topics have this world, too, and no groups in it")]
    pub fn store(&self) -> Box<dyn GroupStore> {
        match &self.way {
            Way::Local(_) => Box::new(self.groups.clone()),
            Way::Brokers { etcd, .. } => {
                let mut config = Config::default();
                config.groups.etcd.endpoints = vec![etcd.endpoint()];
                Box::new(EtcdGroups::new(&config.groups.etcd).expect("a valid address"))
            }
        }
    }

    pub fn nats(&mut self) -> &mut Nats {
        match &mut self.way {
            Way::Brokers { nats, .. } => nats,
            Way::Local(_) => panic!("this world has no broker"),
        }
    }

    pub fn etcd(&mut self) -> &mut Etcd {
        match &mut self.way {
            Way::Brokers { etcd, .. } => etcd,
            Way::Local(_) => panic!("this world has no etcd"),
        }
    }

    /// Starts a server that clients connect to.
    pub async fn frontend(&self, kind: &str, id: &str, with: impl FnOnce(Builder) -> Builder) -> App {
        self.start(with(self.builder(kind, id)).acceptor(Tcp::bind("127.0.0.1:0"))).await
    }

    /// Starts a server that only other servers reach.
    pub async fn backend(&self, kind: &str, id: &str, with: impl FnOnce(Builder) -> Builder) -> App {
        self.start(with(self.builder(kind, id))).await
    }

    async fn start(&self, builder: Builder) -> App {
        let app = builder.build().expect("a valid app");
        app.start().await.expect("it starts");
        app
    }
}

/// Waits until each of these sees so many servers.
pub async fn meet(apps: &[&App]) {
    for app in apps {
        eventually("they see each other", || app.servers().all().len() >= apps.len()).await;
    }
}

pub async fn connect(app: &App) -> Client {
    Client::connect(&format!("tcp://{}", app.addresses()[0])).await.expect("the app accepts")
}

/// A server in a process of its own, with these variables besides.
#[allow(dead_code, reason = "tests of other topics have this world, too, and no processes in it")]
pub fn launch(world: &mut World, flags: &[&str], env: &[(&str, &str)]) -> Conformance {
    let (nats, etcd) = (world.nats().url(), world.etcd().endpoint());
    let mut all = vec![
        ("PITAYA_CLUSTER_RPC_CLIENT_NATS_CONNECT", &*nats),
        ("PITAYA_CLUSTER_RPC_SERVER_NATS_CONNECT", &*nats),
        ("PITAYA_CLUSTER_SD_ETCD_ENDPOINTS", &*etcd),
    ];
    all.extend(env);
    Conformance::launch(flags, &all)
}

/// Waits until `done`, looking often; for states that announce themselves nowhere.
pub async fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !done() {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Each of these, `async fn(World)`, as a test in every world.
macro_rules! in_every_world {
    ($($name:ident,)*) => {
        mod in_one_process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::world::World::local()).await;
            })*
        }
        mod over_brokers {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::world::World::brokers()).await;
            })*
        }
    };
}
pub(crate) use in_every_world;
