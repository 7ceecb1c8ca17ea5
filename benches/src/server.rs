//! Processes: a server that is ready, a generator that has finished, each on its own core.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;

use crate::variant::{Program, Variant};

const START_PATIENCE: Duration = Duration::from_secs(15);

/// Where the programs are and whether they can be pinned.
#[derive(Debug)]
pub struct Bench {
    bin: PathBuf,
    pin: bool,
}

/// A server that accepts connections; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Bench {
    /// Looks for the programs beside the running one (`target/release`).
    ///
    /// # Errors
    /// The path of the running program is not known.
    pub fn new() -> Result<Self, String> {
        let exe = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
        let bin = exe.parent().map(Path::to_owned).ok_or("own path has no folder")?;
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { bin, pin: cpus > 1 && installed("taskset") })
    }

    /// Whether server and generator run on one core each.
    #[must_use]
    pub fn pins(&self) -> bool {
        self.pin
    }

    /// The folder for results, `target/bench`.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.bin.parent().unwrap_or(&self.bin).join("bench")
    }

    /// A new file in it for the runs of one command, a line of JSON each.
    ///
    /// # Errors
    /// A text that names the file.
    pub fn log(&self, command: &str) -> Result<File, String> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // With the process id: two that start in the same second do not share a file.
        let path = self.results().join(format!("{command}-{time}-{}.jsonl", std::process::id()));
        let file = fs::create_dir_all(self.results()).and_then(|()| File::create(&path));
        file.map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Why a program cannot be started, if it is not there.
    #[must_use]
    pub fn absent(&self, program: Program) -> Option<String> {
        let path = self.path(program);
        let name = path.strip_prefix(&self.bin).unwrap_or(&path);
        (!path.is_file()).then(|| format!("{} is not built in release mode", name.display()))
    }

    /// Where the program lies.
    #[must_use]
    pub fn path(&self, program: Program) -> PathBuf {
        match program {
            Program::Bare(_) => self.bin.join("baseline"),
            Program::Project | Program::Metered => self.bin.join("examples/conformance"),
        }
    }

    /// A tool of this harness, on no core of its own.
    #[must_use]
    pub fn tool(&self, name: &str) -> Command {
        Command::new(self.bin.join(name))
    }

    /// Starts a server on a free port of 127.0.0.1 and waits until it is ready; with `strace`, under `strace -c` that
    /// writes its summary there.
    ///
    /// # Errors
    /// A text with the last lines of a server that did not become ready.
    pub fn serve(&self, program: Program, web_socket: bool, strace: Option<&Path>) -> Result<Server, String> {
        let addr = free_port()?;
        let mut command = self.pinned(0);
        if let Some(summary) = strace {
            // -D: the tracer is the grandchild, so that the process we know and end is the server.
            command.args(["strace", "-D", "-f", "-c", "-o"]).arg(summary);
        }
        command.arg(self.path(program));
        match program {
            Program::Bare(mode) => command.arg(mode).arg(addr.to_string()),
            Program::Project | Program::Metered => {
                if program == Program::Metered {
                    command.env("PITAYA_METRICS_PROMETHEUS_ENABLED", "true");
                    command.env("PITAYA_METRICS_PROMETHEUS_PORT", free_port()?.port().to_string());
                }
                command.args(["-standalone", "-type", "connector", "-frontend=true", "-serializer", "json"]);
                command.args(web_socket.then_some("-ws")).args(["-addr", &addr.to_string()])
            }
        };
        // One core, one thread: more of them would only hand the same core to one another.
        Server::start(command.env("TOKIO_WORKER_THREADS", "1"), addr)
    }

    /// Runs the generator against a server and reads its line.
    ///
    /// # Errors
    /// What the generator says when it fails.
    pub fn generate<T: DeserializeOwned>(
        &self,
        server: &Server,
        variant: &Variant,
        more: &[String],
    ) -> Result<T, String> {
        let mut command = self.pinned(1);
        command.arg(self.bin.join("loadgen"));
        command.args(["--addr", &server.addr.to_string(), "--server-pid", &server.child.id().to_string()]);
        command.args(["--route", variant.route, "--body", variant.body]).args(variant.web_socket.then_some("--ws"));
        report_of(command.args(more))
    }

    /// A command that runs what is appended to it on one core.
    #[must_use]
    pub fn pinned(&self, core: usize) -> Command {
        // `env` replaces itself by the program too: the process id is the program's either way.
        let mut command = Command::new(if self.pin { "taskset" } else { "env" });
        if self.pin {
            command.args(["-c", &core.to_string()]);
        }
        command
    }
}

impl Server {
    /// Starts a program that will accept connections at `addr` and waits for the line that says it does.
    ///
    /// # Errors
    /// A text with the last lines of a server that did not become ready.
    pub fn start(command: &mut Command, addr: SocketAddr) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = Self { child: start(command)?, addr };
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        server.wait_ready().map_err(|why| format!("{}: {why}", program.to_string_lossy()))?;
        Ok(server)
    }

    /// Where it accepts connections.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let (lines, ready) = mpsc::sync_channel(64);
        let out = self.child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        let err = self.child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        for pipe in [out, err].into_iter().flatten() {
            let lines = lines.clone();
            // Reads on for ever: a server whose log nobody reads would stop at a full pipe.
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    // Nobody listens once the server is ready.
                    let _ = lines.send(line);
                }
            });
        }
        drop(lines);
        let deadline = Instant::now() + START_PATIENCE;
        let mut said = Vec::new();
        loop {
            match ready.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if says_ready(&line) => return Ok(()),
                Ok(line) => said.push(line),
                Err(why) => {
                    let why = match why {
                        mpsc::RecvTimeoutError::Timeout => "was not ready in 15 s",
                        mpsc::RecvTimeoutError::Disconnected => "ended before it was ready",
                    };
                    let last = said.split_off(said.len().saturating_sub(5)).join("\n  ");
                    return Err(format!("the server {why}; its last lines:\n  {last}"));
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last words of a start: the harness's own programs, the project's example, nats-server, etcd.
fn says_ready(line: &str) -> bool {
    let words = [
        "all modules started!",
        "Server is ready",
        "ready to serve client requests",
        "serving insecure client requests",
    ];
    line == "ready" || words.iter().any(|words| line.contains(words))
}

/// Runs a program that prints one line of JSON.
///
/// # Errors
/// What the program says when it fails.
pub fn report_of<T: DeserializeOwned>(command: &mut Command) -> Result<T, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("{name} printed no report: {e}"))
}

/// Whether a command can be found in `PATH`.
#[must_use]
pub fn installed(command: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(command).is_file())
}

/// The number of calls in the `total` line of an `strace -c` summary.
#[must_use]
pub fn total_calls(summary: &str) -> Option<u64> {
    let line = summary.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn start(command: &mut Command) -> Result<Child, String> {
    command.spawn().map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))
}

/// The port is free now; between here and the server's bind somebody could take it, and then the server says so.
///
/// # Errors
/// The system has none.
pub fn free_port() -> Result<SocketAddr, String> {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    port.map_err(|e| format!("no free port: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_summary() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.006000           3      2000           sendto
 40.00    0.004000           2      2010        11 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.010000           2      4010        11 total
";
        assert_eq!(total_calls(summary), Some(4010));
        assert_eq!(total_calls(&summary.replace("        11 total", "           total")), Some(4010));
        assert_eq!(total_calls("% time"), None);
    }
}
