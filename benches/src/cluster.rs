//! A cluster of two with brokers of its own: a nats-server, an etcd, a frontend and a backend, all on free ports.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::server::{Server, free_port, installed};

/// What the record of a server says of the lane; without it others take it for a server of Go's.
const LANE: &str = "pitaya.lane";

/// A nats-server and an etcd; stopped, and their data removed, when dropped.
#[derive(Debug)]
pub struct Brokers {
    nats: Server,
    etcd: Server,
    // After the server that writes there: fields go in this order.
    _data: Data,
}

/// A folder that is removed when dropped.
#[derive(Debug)]
struct Data(PathBuf);

/// A frontend and a backend that know each other; killed when dropped.
#[derive(Debug)]
pub struct Pair {
    /// Accepts clients.
    pub front: Server,
    /// Has the rooms.
    pub back: Server,
}

impl Brokers {
    /// What has to be installed and is not.
    #[must_use]
    pub fn missing() -> Vec<&'static str> {
        ["nats-server", "etcd", "etcdctl"].into_iter().filter(|command| !installed(command)).collect()
    }

    /// Starts both. `folder` is where etcd keeps its data meanwhile.
    ///
    /// # Errors
    /// A text with the last lines of the one that did not become ready.
    pub fn start(folder: &Path) -> Result<Self, String> {
        let addr = free_port()?;
        let port = addr.port().to_string();
        let nats = Server::start(Command::new("nats-server").args(["-a", "127.0.0.1", "-p", &port]), addr)?;
        let data = Data(folder.join(format!("etcd-{}", std::process::id())));
        let (addr, peer) = (free_port()?, format!("http://{}", free_port()?));
        let client = format!("http://{addr}");
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(&data.0).args(["--name", "bench", "--initial-cluster", &format!("bench={peer}")]);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        Ok(Self { nats, etcd: Server::start(&mut etcd, addr)?, _data: data })
    }

    /// Where clients of NATS connect.
    #[must_use]
    pub fn nats_url(&self) -> String {
        format!("nats://{}", self.nats.addr())
    }

    /// The process of the nats-server.
    #[must_use]
    pub fn nats_pid(&self) -> u32 {
        self.nats.pid()
    }

    /// Where clients of etcd connect.
    #[must_use]
    pub fn etcd_addr(&self) -> SocketAddr {
        self.etcd.addr()
    }

    /// Starts a backend and a frontend of a program that knows the example's flags, with as many threads as they take by
    /// themselves. `name` is theirs alone: servers that were killed stay in etcd for a while. A `plain` backend is one that
    /// does not say it speaks the lane.
    ///
    /// # Errors
    /// A text with the last lines of the one that did not become ready.
    pub fn pair(&self, program: &Path, name: &str, plain: bool) -> Result<Pair, String> {
        let back = self.backend(Command::new(program), name, plain)?;
        let front = self.server(Command::new(program), name, &["-type", "connector"])?;
        Ok(Pair { front, back })
    }

    /// Starts the backend alone; `command` is its program, with what else it should know.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn backend(&self, command: Command, name: &str, plain: bool) -> Result<Server, String> {
        let back = self.server(command, name, &["-type", "room", "-frontend=false"])?;
        if plain {
            self.hide_lane(&format!("{name}/servers/room/"))?;
        }
        Ok(back)
    }

    fn server(&self, mut command: Command, name: &str, flags: &[&str]) -> Result<Server, String> {
        let (addr, prefix) = (free_port()?, format!("{name}/"));
        command.args(flags).args(["-serializer", "json", "-sdprefix", &prefix, "-addr", &addr.to_string()]);
        command.env("PITAYA_CLUSTER_RPC_CLIENT_NATS_CONNECT", self.nats_url());
        command.env("PITAYA_CLUSTER_RPC_SERVER_NATS_CONNECT", self.nats_url());
        command.env("PITAYA_CLUSTER_SD_ETCD_ENDPOINTS", self.etcd.addr().to_string());
        Server::start(&mut command, addr)
    }

    /// Rewrites the one record under `prefix`.
    fn hide_lane(&self, prefix: &str) -> Result<(), String> {
        let record = self.etcdctl(&["get", "--prefix", prefix])?;
        let (key, value) = record.trim().split_once('\n').ok_or("etcd has no record of the backend")?;
        let mut value: Value = serde_json::from_str(value).map_err(|e| format!("the backend's record: {e}"))?;
        let metadata = value["metadata"].as_object_mut().and_then(|metadata| metadata.remove(LANE));
        metadata.ok_or_else(|| format!("the backend's record has no {LANE}: {record}"))?;
        self.etcdctl(&["put", key, &value.to_string()]).map(drop)
    }

    fn etcdctl(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.etcd.addr().to_string()]).args(args);
        let output = command.output().map_err(|e| format!("etcdctl: {e}"))?;
        if !output.status.success() {
            return Err(format!("etcdctl: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        String::from_utf8(output.stdout).map_err(|e| format!("etcdctl: {e}"))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // What cannot be removed lies in the build folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
