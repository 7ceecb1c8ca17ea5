//! A broker of one's own: the real `nats-server`, on a free port.

use crate::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A running `nats-server`. It ends with this value.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    flags: Vec<String>,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one on a free port, with these flags besides.
    ///
    /// # Panics
    /// When there is no `nats-server` in `PATH` or `/usr/sbin`, or it does not get ready.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut server = Self { port: free_port(), flags, child: None };
        // Another process may have taken the port meanwhile.
        for _ in 0..5 {
            if server.launch() {
                return server;
            }
            server.port = free_port();
        }
        panic!("nats-server does not start with {:?}", server.flags);
    }

    /// Starts one that also tells what it does, for [`subscriptions`](Self::subscriptions).
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn monitored() -> Self {
        let monitor = free_port().to_string();
        Self::start(&["-m", &monitor])
    }

    /// How many subscriptions it holds.
    ///
    /// # Panics
    /// When it was not started by [`monitored`](Self::monitored), or does not answer.
    #[must_use]
    pub fn subscriptions(&self) -> u64 {
        let monitor = self.flags.iter().skip_while(|flag| *flag != "-m").nth(1).expect("a monitored broker");
        let mut stream = TcpStream::connect(format!("127.0.0.1:{monitor}")).expect("the monitor listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(b"GET /subsz HTTP/1.0\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, number) = answer.split_once("\"num_subscriptions\": ").expect("it counts them");
        number.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).expect("a number")
    }

    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash would.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running broker");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }

    /// Starts it again on the same port, and says when it took connections.
    ///
    /// # Panics
    /// When it still runs, or does not get ready.
    pub fn restart(&mut self) -> Instant {
        assert!(self.child.is_none(), "it runs");
        assert!(self.launch(), "nats-server does not start again on port {}", self.port);
        Instant::now()
    }

    /// Makes it a black hole: it stands still with its connections open, until [`go_on`](Self::go_on).
    ///
    /// # Panics
    /// When it does not run, or does not stop.
    pub fn stand_still(&self) {
        self.signal("STOP");
        // A signal is sent before it is obeyed: by one thread after the other.
        let tasks = format!("/proc/{}/task", self.id());
        let stopped = || {
            let tasks = std::fs::read_dir(&tasks).expect("its threads are listed");
            let state = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            tasks.flatten().map(state).all(|stat| stat.is_empty() || stat.contains(") T "))
        };
        let end = Instant::now() + PATIENCE;
        while !stopped() {
            assert!(Instant::now() < end, "nats-server does not stand still");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends [`stand_still`](Self::stand_still).
    ///
    /// # Panics
    /// When it does not run.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// Tells it to end soon, and its clients to go elsewhere before: lame duck mode.
    ///
    /// # Panics
    /// When it does not run.
    pub fn retire(&self) {
        self.signal("USR2");
    }

    fn id(&self) -> u32 {
        self.child.as_ref().expect("a running broker").id()
    }

    fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("there is a `kill`");
        assert!(sent.success(), "kill -{name} {id}: {sent}");
    }

    /// Whether it got ready.
    fn launch(&mut self) -> bool {
        let port = self.port.to_string();
        let path = if std::path::Path::new("/usr/sbin/nats-server").exists() {
            "/usr/sbin/nats-server"
        } else {
            "nats-server"
        };
        let mut command = Command::new(path);
        command.args(["-a", "127.0.0.1", "-p", &port]).args(&self.flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("nats-server, in PATH or /usr/sbin, can be started");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if child.try_wait().expect("a child can be asked for").is_some() {
                return false;
            }
            if self.greets() {
                self.child = Some(child);
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// Whether it says who it is: it sends `INFO` first.
    fn greets(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("INFO ")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
