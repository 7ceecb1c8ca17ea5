//! What can be said on the command line.

use pitaya_runtime::prelude::*;

const USAGE: &str = "usage: cluster [--host HOST] [--port PORT] [--role connector|room --nats URL --etcd URL]   \
                     (port 0 takes a free one)";

pub struct Args {
    pub host: String,
    pub port: u16,
    /// The one server that runs here; all of them without it.
    pub role: Option<Role>,
    pub network: Network,
}

pub enum Role {
    Connector,
    Room,
}

/// How the servers reach each other.
pub enum Network {
    Process(LocalCluster),
    /// NATS carries messages and calls, etcd knows who is there.
    Services {
        nats: String,
        etcd: String,
    },
}

impl Args {
    pub fn parse(mut args: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let (mut host, mut port) = ("127.0.0.1".to_owned(), 3250);
        let (mut role, mut nats, mut etcd) = (None, None, None);
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"));
            match &*name {
                "--host" => host = value()?,
                "--port" => {
                    let text = value()?;
                    port = text.parse().map_err(|_| format!("{text} is not a port\n{USAGE}"))?;
                }
                "--role" => {
                    role = Some(match &*value()? {
                        "connector" => Role::Connector,
                        "room" => Role::Room,
                        other => return Err(format!("{other} is not a role: connector or room\n{USAGE}")),
                    });
                }
                "--nats" => nats = Some(value()?),
                "--etcd" => etcd = Some(value()?),
                _ => return Err(format!("unknown argument {name}\n{USAGE}")),
            }
        }
        let network = match (nats, etcd) {
            (Some(nats), Some(etcd)) => Network::Services { nats, etcd },
            (None, None) if role.is_some() => {
                return Err(format!("a server alone meets no other: --role needs --nats and --etcd\n{USAGE}"));
            }
            (None, None) => Network::Process(LocalCluster::default()),
            _ => return Err(format!("--nats and --etcd need each other\n{USAGE}")),
        };
        Ok(Self { host, port, role, network })
    }

    /// Writes what was said into the settings.
    pub fn configure(&self, config: &mut Config) {
        if let Network::Services { nats, etcd } = &self.network {
            config.cluster.rpc.client.nats.connect.clone_from(nats);
            config.cluster.rpc.server.nats.connect.clone_from(nats);
            config.cluster.sd.etcd.endpoints = vec![etcd.clone()];
        }
    }

    /// The port of the second frontend.
    pub fn second_port(&self) -> std::result::Result<u16, String> {
        match self.port {
            0 => Ok(0),
            port => {
                port.checked_add(1).ok_or_else(|| format!("there is no port behind {port} for the second frontend"))
            }
        }
    }
}
