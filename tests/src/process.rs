//! A server in a process of its own.

use crate::{PATIENCE, binary};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

/// What a server prints on standard error when clients may come, and before its addresses.
const READY: &str = "all modules started! listening on ";

/// The example `conformance`, running. It ends with this value.
#[derive(Debug)]
pub struct Conformance {
    child: Child,
    addresses: Vec<SocketAddr>,
    /// Lines of standard error before the ready line.
    before: Vec<String>,
    /// Those behind it.
    log: Receiver<String>,
}

impl Conformance {
    /// Starts it standalone on a free port, with `flags` and the environment variables `env` besides.
    ///
    /// # Panics
    /// When it cannot be started or does not get ready; with what it had printed.
    #[must_use]
    pub fn start(flags: &[&str], env: &[(&str, &str)]) -> Self {
        let mut all = vec!["-standalone", "-addr", "127.0.0.1:0"];
        all.extend(flags);
        Self::launch(&all, env)
    }

    /// Starts it with these flags and no others.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn launch(flags: &[&str], env: &[(&str, &str)]) -> Self {
        Self::run(Command::new(binary::example("conformance")), flags, env)
    }

    /// Starts another build of it with these flags and no others.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn launch_program(program: &Path, flags: &[&str], env: &[(&str, &str)]) -> Self {
        Self::run(Command::new(program), flags, env)
    }

    /// As [`start`](Self::start), with so many files at most that it may open.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with_files(files: usize, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(binary::example("conformance"));
        let mut all = vec!["-standalone", "-addr", "127.0.0.1:0"];
        all.extend(flags);
        Self::run(command, &all, env)
    }

    fn run(mut command: Command, flags: &[&str], env: &[(&str, &str)]) -> Self {
        // Variables of the surrounding shell change the server otherwise.
        let inherited = std::env::vars_os().map(|(name, _)| name);
        inherited.filter(|name| name.to_string_lossy().starts_with("PITAYA_")).for_each(|name| {
            command.env_remove(name);
        });
        command.args(flags).env_remove("RUST_LOG").envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the conformance server starts");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let (lines, log) = channel();
        // Ends with the process: a pipe that nobody reads would block it.
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let mut server = Self { child, addresses: Vec::new(), before: Vec::new(), log };
        (server.addresses, server.before) = server.ready(flags);
        server
    }

    /// Where it listens, in its own order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it listens, when there is one place only.
    ///
    /// # Panics
    /// When there are several.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let [address] = self.addresses[..] else { panic!("one address, not {:?}", self.addresses) };
        address
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lines that it wrote before it was ready.
    #[must_use]
    pub fn logged_before_ready(&self) -> &[String] {
        &self.before
    }

    /// What it has logged and nobody has looked at.
    #[must_use]
    pub fn logged(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// Whether the process that was started is still the one that answers.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked for").is_none()
    }

    /// Asks it to end as a service manager does (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("there is a `kill`");
        assert!(sent.success(), "kill -{name} {id}: {sent}");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn ended(&mut self) -> ExitStatus {
        // Standard error ends with the process.
        let end = Instant::now() + PATIENCE;
        while !matches!(self.log.recv_timeout(end - Instant::now()), Err(RecvTimeoutError::Disconnected)) {
            assert!(Instant::now() < end, "the server has not ended {PATIENCE:?} after it was told to");
        }
        self.child.wait().expect("an ended child can be waited for")
    }

    /// Waits until it logs a line with this text, and gives that.
    ///
    /// # Panics
    /// When it does not in time; with what it has logged.
    pub fn logs(&self, text: &str) -> String {
        let (end, mut others) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => others.push(line),
                Err(e) => panic!("`{text}` was not logged ({e}); but {others:#?}"),
            }
        }
    }

    fn ready(&self, flags: &[&str]) -> (Vec<SocketAddr>, Vec<String>) {
        let end = Instant::now() + PATIENCE;
        let mut printed = Vec::new();
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.split_once(READY) {
                    Some((_, addresses)) => {
                        let addresses = addresses.split(", ").filter(|text| !text.is_empty());
                        return (addresses.map(|text| parse(text, &line)).collect(), printed);
                    }
                    None => printed.push(line),
                },
                Err(e) => panic!("conformance {} is not ready ({e}); it printed {printed:#?}", flags.join(" ")),
            }
        }
    }
}

fn parse(text: &str, line: &str) -> SocketAddr {
    let mut address: SocketAddr = text.parse().unwrap_or_else(|e| panic!("{line}: {text}: {e}"));
    // Listening everywhere, it is reached here.
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    address
}

impl Drop for Conformance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
