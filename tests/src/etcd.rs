//! A real etcd for one test: on free ports, in a folder of its own, gone with the value.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long etcd may take to start.
const START: Duration = Duration::from_secs(20);

/// A running etcd.
#[derive(Debug)]
pub struct Etcd {
    client: u16,
    peer: u16,
    /// Where it says over plain HTTP whether it is well.
    health: u16,
    /// The flags that make clients come by TLS; none where they come without.
    tls: Vec<String>,
    data: TempDir,
    child: Option<Child>,
}

impl Etcd {
    /// Starts one, and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::launch(Vec::new())
    }

    /// Starts one that wants TLS, and of its clients a certificate of these authorities: three PEM files.
    #[must_use]
    pub fn start_with_tls(certificate: &Path, key: &Path, authorities: &Path) -> Self {
        let flag = |name: &str, file: &Path| format!("--{name}={}", file.display());
        let files = [flag("cert-file", certificate), flag("key-file", key), flag("trusted-ca-file", authorities)];
        Self::launch(files.into_iter().chain(["--client-cert-auth".to_owned()]).collect())
    }

    fn launch(tls: Vec<String>) -> Self {
        // In memory where there is such a place: etcd waits for the disk with every change.
        let data = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        // Both at once, or they could be the same.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [client, peer, health] = listeners.each_ref().map(|listener| listener.local_addr().expect("bound").port());
        drop(listeners);
        let mut etcd = Self { client, peer, health, tls, data, child: None };
        etcd.run();
        etcd
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client)
    }

    /// Runs it, on the same ports and data as before.
    pub fn run(&mut self) {
        let scheme = if self.tls.is_empty() { "http" } else { "https" };
        let client = format!("{scheme}://127.0.0.1:{}", self.client);
        let [peer, health] = [self.peer, self.health].map(|port| format!("http://127.0.0.1:{port}"));
        let child = Command::new("etcd")
            .args(["--name", "test", "--log-level", "error", "--data-dir"])
            .arg(self.data.path())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--listen-metrics-urls", &health])
            .args(&self.tls)
            .args(["--initial-cluster", &format!("test={peer}")])
            // Alone it need not wait for others; and leases may be shorter than two seconds then.
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed: ./tests/run does it");
        self.child = Some(child);
        let end = Instant::now() + START;
        while !self.is_healthy() {
            assert!(Instant::now() < end, "etcd does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_healthy(&self) -> bool {
        self.get("/health").is_some_and(|answer| answer.contains("\"true\""))
    }

    /// Fetches a page of its HTTP interface.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.health)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Reads a metric of its own: the sum of all series whose name and labels contain each of these.
    #[must_use]
    pub fn metric(&self, parts: &[&str]) -> u64 {
        let page = self.get("/metrics").expect("etcd shows its metrics");
        let lines = page.lines().filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it and starts it again, on the same ports and data.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Stops it without ending it: it holds its connections and says nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Goes on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
            assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
        }
    }

    /// Asks with etcd's own client.
    #[must_use]
    pub fn ctl(&self, args: &[&str]) -> String {
        self.ctl_with(args, "")
    }

    /// As [`ctl`](Self::ctl), with this on standard input.
    #[must_use]
    pub fn ctl_with(&self, args: &[&str], input: &str) -> String {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.endpoint()]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("etcdctl is installed: ./tests/run does it");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // It may end without having read all.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("a child can be waited for");
        assert!(output.status.success(), "etcdctl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
    }
}
