//! One server of a cluster, in a process of its own.

use crate::body::Codec;
use pitaya_tests::{PATIENCE, binary};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What both programs print when they are ready; behind it an address, if clients may connect.
const READY: &str = "all modules started! listening on";

/// How long a server waits for another: short, since a case waits for it to pass.
pub(crate) const RPC_TIMEOUT: Duration = Duration::from_secs(2);

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The Go server in `tests/interop/go/peer`.
    Go,
    /// The example `conformance`.
    Ours,
}

impl Program {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "go" => Self::Go,
            "ours" => Self::Ours,
            _ => panic!("{name}: go or ours"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Ours => "ours",
        }
    }

    fn path(self) -> PathBuf {
        match self {
            Self::Go => std::env::var_os("INTEROP_PEER").expect("looked at before").into(),
            Self::Ours => binary::example("conformance"),
        }
    }
}

/// A running server. It ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) program: Program,
    child: Child,
    address: Option<SocketAddr>,
    name: String,
    log: Receiver<String>,
}

impl Server {
    /// Starts a server of this type and waits until it says that it is ready.
    pub(crate) fn start(program: Program, kind: &str, frontend: bool, prefix: &str, codec: Codec) -> Self {
        let mut command = Command::new(program.path());
        command.args(["-type", kind, "-sdprefix", prefix, "-serializer", codec.name(), "-groups", "etcd"]);
        command.arg(format!("-frontend={frontend}"));
        if frontend {
            command.args(["-addr", "127.0.0.1:0"]);
        }
        let timeout = format!("{}ms", RPC_TIMEOUT.as_millis());
        command.env("PITAYA_CLUSTER_RPC_CLIENT_NATS_REQUESTTIMEOUT", timeout).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let name = format!("{kind} ({})", program.name());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name}: {:?}: {e}", program.path()));
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let (lines, log) = channel();
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let mut server = Self { program, child, address: None, name, log };
        server.address = server.ready();
        server
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap_or_else(|| panic!("{}: a backend has no address", self.name))
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a `kill`").success(), "{}", self.name);
    }

    /// What it has written since this was asked for; of long lines the beginning.
    pub(crate) fn log(&self) -> impl Iterator<Item = String> {
        self.log.try_iter().map(|line| format!("{}: {}", self.name, line.chars().take(300).collect::<String>()))
    }

    fn ready(&self) -> Option<SocketAddr> {
        let end = Instant::now() + PATIENCE;
        let mut printed = Vec::new();
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.split_once(READY) {
                    Some((_, address)) => return address.trim().parse().ok(),
                    None => printed.push(line),
                },
                Err(e) => panic!("{} is not ready ({e}); it printed {printed:#?}", self.name),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
