//! How is a row started, driven, and what did it come to?

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cluster::{Brokers, Pair};
use crate::report::{IdleReport, LoadReport, LoginReport, PushReport};
use crate::server::{Bench, Server, free_port, installed, report_of};
use crate::suite::claim::Figure;
use crate::suite::results::Sample;
use crate::suite::row::{Drive, Rig, Row};
use crate::transport::Transport;
use crate::variant::Program;

/// In an open loop: far more than ever wait, so that no request waits for another's answer.
const OPEN_DEPTH: usize = 256;

/// How long a run takes when nobody says otherwise.
pub const USUAL_SECS: f64 = 2.0;

/// Where rows are run.
#[derive(Debug)]
pub struct Stage {
    bench: Bench,
    secs: f64,
    /// Certificate and key for servers behind TLS.
    certificate: [PathBuf; 2],
    brokers: Option<Brokers>,
    /// Servers of others start in seconds: they run on to the end of a scenario. An idle one costs nothing.
    peers: BTreeMap<(Rig, Transport), Running>,
    /// Names for clusters: each is used once.
    clusters: usize,
}

/// Servers that run.
#[derive(Debug)]
enum Running {
    One(Server),
    Two(Pair),
}

impl Running {
    /// The one that clients connect to.
    fn door(&self) -> &Server {
        match self {
            Self::One(server) => server,
            Self::Two(pair) => &pair.front,
        }
    }

    fn pids(&self) -> Vec<u32> {
        match self {
            Self::One(server) => vec![server.pid()],
            Self::Two(pair) => vec![pair.front.pid(), pair.back.pid()],
        }
    }
}

impl Stage {
    /// A stage whose runs take `secs`.
    ///
    /// # Errors
    /// A text when the certificate cannot be made.
    pub fn new(bench: Bench, secs: f64) -> Result<Self, String> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|e| format!("rcgen: {e}"))?;
        let folder = bench.results();
        let path = |end: &str| folder.join(format!("{}.{end}", std::process::id()));
        let certificate = [path("crt"), path("key")];
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&certificate[0], made.cert.pem()))
            .and_then(|()| fs::write(&certificate[1], made.signing_key.serialize_pem()))
            .map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Self { bench, secs, certificate, brokers: None, peers: BTreeMap::new(), clusters: 0 })
    }

    /// Why a row cannot be measured here.
    #[must_use]
    pub fn absent(&self, row: &Row) -> Option<String> {
        let missing = Brokers::missing();
        match row.rig {
            Rig::Mux | Rig::Calls { .. } | Rig::Pair | Rig::GoPair if !missing.is_empty() => {
                Some(format!("not installed: {}", missing.join(", ")))
            }
            Rig::Go | Rig::GoCompressing | Rig::GoPair => (!self.go().is_file()).then(|| {
                let why = if std::env::var_os("PITAYA_GO_DIR").is_none() {
                    "PITAYA_GO_DIR names no checkout of Go Pitaya"
                } else {
                    "Go Pitaya could not be built"
                };
                why.to_owned()
            }),
            Rig::Pinus => (!installed("node") || !self.pinus().is_dir()).then(|| "Pinus is not installed".to_owned()),
            Rig::Bare(mode) => self.bench.absent(Program::Bare(mode)),
            _ => self.bench.absent(Program::Project),
        }
    }

    /// Runs a row once. `rate`: requests a second of an open loop.
    ///
    /// # Errors
    /// A text when a server does not start or a tool fails; wrong answers are in the sample.
    pub fn measure(&mut self, row: &Row, rate: Option<f64>) -> Result<Sample, String> {
        match (row.rig, row.drive) {
            (Rig::Mux, Drive::Calls { in_flight }) => self.mux(in_flight),
            (Rig::Calls { plain }, Drive::Calls { in_flight }) => self.calls(plain, in_flight),
            // What a server has grown to is not to be another row's.
            (_, Drive::Idle { .. }) => self.drive(row, &self.start(row)?, rate),
            (rig, _) if rig.is_peer() => {
                let key = (rig, row.transport);
                let running = match self.peers.remove(&key) {
                    Some(running) => running,
                    None => self.start_any(row)?,
                };
                let sample = self.drive(row, &running, rate);
                self.peers.insert(key, running);
                sample
            }
            _ => {
                let running = self.start_any(row)?;
                self.drive(row, &running, rate)
            }
        }
    }

    /// Stops what other rows of the scenario could have used again.
    pub fn clear(&mut self) {
        self.peers.clear();
    }

    fn go(&self) -> PathBuf {
        self.bench.results().join("go-peer")
    }

    fn pinus(&self) -> PathBuf {
        self.bench.results().join("pinus/node_modules")
    }

    fn brokers(&mut self) -> Result<&Brokers, String> {
        if self.brokers.is_none() {
            self.brokers = Some(Brokers::start(&self.bench.results())?);
        }
        self.brokers.as_ref().ok_or_else(|| "no brokers".to_owned())
    }

    fn cluster(&mut self) -> String {
        self.clusters += 1;
        format!("suite-{}", self.clusters)
    }

    fn start_any(&mut self, row: &Row) -> Result<Running, String> {
        let program = match row.rig {
            Rig::Pair => self.bench.path(Program::Project),
            Rig::GoPair => self.go(),
            _ => return self.start(row),
        };
        let name = self.cluster();
        Ok(Running::Two(self.brokers()?.pair(&program, &name, false)?))
    }

    /// A server of its own, on the first core.
    fn start(&self, row: &Row) -> Result<Running, String> {
        Ok(Running::One(self.start_in(self.bench.pinned(0), row)?))
    }

    /// A server of its own whose command is appended to `command`.
    ///
    /// # Errors
    /// A text with the last lines of a server that did not become ready.
    pub fn start_in(&self, mut command: Command, row: &Row) -> Result<Server, String> {
        let addr = free_port()?;
        match row.rig {
            Rig::Bare(mode) => {
                command.arg(self.bench.path(Program::Bare(mode))).arg(mode).arg(addr.to_string());
                command.args(self.certificate.iter().filter(|_| mode == "tls"));
            }
            Rig::Pinus => {
                // Beside its modules: that is where Node looks for them.
                let folder = self.bench.results().join("pinus");
                command.args(["node", "app.js"]).arg(addr.port().to_string()).current_dir(folder);
            }
            rig => {
                let go = matches!(rig, Rig::Go | Rig::GoCompressing);
                command.arg(if go { self.go() } else { self.bench.path(Program::Project) });
                command.args(["-standalone", "-type", "connector", "-serializer", "json", "-addr", &addr.to_string()]);
                command.args(matches!(rig, Rig::OursCompressing | Rig::GoCompressing).then_some("-compress"));
                command.args((row.transport == Transport::WebSocket).then_some("-ws"));
                if row.transport == Transport::Tls {
                    command.arg("-cert").arg(&self.certificate[0]).arg("-key").arg(&self.certificate[1]);
                }
            }
        }
        // One core, one thread: more of them would only hand the same core to one another.
        command.env("TOKIO_WORKER_THREADS", "1").env("GOMAXPROCS", "1");
        Server::start(&mut command, addr)
    }

    /// Sends exactly so many requests of a row that is an echo.
    ///
    /// # Errors
    /// A text for the first wrong answer too.
    pub fn exactly(&self, row: &Row, server: &Server, messages: u64) -> Result<(), String> {
        let Drive::Echo { conns, depth } = row.drive else { return Err("not an echo".to_owned()) };
        let mut command = self.bench.tool("loadgen");
        command.args(["--addr", &server.addr().to_string(), "--messages", &messages.to_string()]);
        command.args(["--conns", &conns.to_string(), "--depth", &depth.to_string()]);
        calling(&mut command, row, "connector");
        let report: LoadReport = report_of(&mut command)?;
        match report.first_error {
            Some(why) => Err(why),
            None if report.answers == messages => Ok(()),
            None => Err(format!("{} answers to {messages} requests", report.answers)),
        }
    }

    fn drive(&self, row: &Row, running: &Running, rate: Option<f64>) -> Result<Sample, String> {
        let tool = match row.drive {
            Drive::Broadcast { .. } | Drive::Told { .. } => "pushes",
            Drive::Logins { .. } | Drive::Churn { .. } => "logins",
            _ => "loadgen",
        };
        let clustered = matches!(row.rig, Rig::Pair | Rig::GoPair);
        let mut pids = running.pids();
        if clustered {
            pids.extend(self.brokers.as_ref().map(Brokers::nats_pid));
        }
        let mut command = if clustered { self.bench.tool(tool) } else { self.bench.pinned(1) };
        if !clustered {
            command.arg(self.bench.tool(tool).get_program());
        }
        command.args(["--addr", &running.door().addr().to_string(), "--server-pid", &list(&pids)]);
        if tool == "loadgen" {
            calling(&mut command, row, if clustered { "room" } else { "connector" });
        }
        let mut with = |name: &str, value: String| {
            command.args([name, &value]);
        };
        match row.drive {
            Drive::Echo { conns, depth } => {
                with("--conns", conns.to_string());
                with("--depth", depth.to_string());
                self.timed(&mut command);
                load(row.rig, report_of(&mut command))
            }
            Drive::HalfOf { conns, .. } => {
                let rate = rate.ok_or("the row whose half this is was not measured")? / 2.0;
                with("--conns", conns.to_string());
                with("--depth", OPEN_DEPTH.to_string());
                with("--rate", rate.to_string());
                self.timed(&mut command);
                Ok(Sample { paced: true, ..load(row.rig, report_of(&mut command))? })
            }
            Drive::Idle { sessions, secs } => {
                with("--idle", sessions.to_string());
                with("--secs", secs.to_string());
                let report: IdleReport = report_of(&mut command)?;
                let figures = [(Figure::Bytes, report.bytes_per_session), (Figure::Idle, report.server_percent)];
                Ok(Sample {
                    figures: figures.into(),
                    errors: report.errors,
                    first_error: report.first_error,
                    paced: true,
                })
            }
            Drive::Broadcast { members, rounds, rooms } => {
                with("--members", members.to_string());
                with("--rounds", rounds.to_string());
                with("--rooms", rooms.to_string());
                pushes(row.rig, &mut command)
            }
            Drive::Told { members, rounds, slow } => {
                with("--members", members.to_string());
                with("--rounds", rounds.to_string());
                with("--slow", slow.to_string());
                with("--hz", "20".to_owned());
                with("--body", "4096".to_owned());
                Ok(Sample { paced: true, ..pushes(row.rig, &mut command)? })
            }
            Drive::Logins { count } => {
                with("--count", count.to_string());
                logins(row.rig, &mut command)
            }
            Drive::Churn { secs } => {
                with("--secs", (secs * self.haste()).to_string());
                logins(row.rig, &mut command)
            }
            Drive::Calls { .. } => Err("calls are made by a server, not by clients".to_owned()),
        }
    }

    /// Runs shorter than usual shorten what takes long in the same measure.
    fn haste(&self) -> f64 {
        (self.secs / USUAL_SECS).min(1.0)
    }

    fn timed(&self, command: &mut Command) {
        command.args(["--secs", &self.secs.to_string(), "--warmup", &(self.secs.min(1.0) * 0.3).to_string()]);
    }

    fn mux(&mut self, in_flight: usize) -> Result<Sample, String> {
        let (respond, request) = (self.bench.tool("mux"), self.bench.tool("mux"));
        let brokers = self.brokers()?;
        let (url, broker) = (brokers.nats_url(), brokers.nats_pid());
        let (mut respond, mut request) = (respond, request);
        // It listens at the broker, not at an address of its own.
        let responder = Server::start(respond.args(["respond", "--nats", &url]), free_port()?)?;
        request.args(["request", "--nats", &url, "--in-flight", &in_flight.to_string()]);
        request.args(["--server-pid", &list(&[responder.pid(), broker])]);
        self.timed(&mut request);
        load(Rig::Mux, report_of(&mut request))
    }

    fn calls(&mut self, plain: bool, in_flight: usize) -> Result<Sample, String> {
        let name = self.cluster();
        let (mut back, mut caller) = (Command::new(self.bench.path(Program::Project)), self.bench.tool("rpc"));
        // One thread, as either side of the bare multiplexer has.
        back.env("TOKIO_WORKER_THREADS", "1");
        let brokers = self.brokers()?;
        let back = brokers.backend(back, &name, plain)?;
        caller.args(["--nats", &brokers.nats_url(), "--etcd", &brokers.etcd_addr().to_string()]);
        caller.args(["--prefix", &format!("{name}/"), "--in-flight", &in_flight.to_string()]);
        caller.args(["--server-pid", &list(&[back.pid(), brokers.nats_pid()])]);
        self.timed(&mut caller);
        load(Rig::Calls { plain }, report_of(&mut caller))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed lies in the build folder.
        self.certificate.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

/// What a row calls, on servers of this type.
fn calling(command: &mut Command, row: &Row, server: &str) {
    command.args(["--route", &format!("{server}.room.{}", row.method), "--body", row.body]);
    command.args(row.rig.is_peer().then_some("--unordered"));
    match row.transport {
        Transport::Tcp => {}
        Transport::WebSocket => _ = command.arg("--ws"),
        Transport::Tls => _ = command.arg("--tls"),
    }
}

fn pushes(rig: Rig, command: &mut Command) -> Result<Sample, String> {
    let report: PushReport = report_of(command)?;
    let mut sample = load(rig, Ok(report.load))?;
    if report.last_ms > 0.0 {
        sample.figures.insert(Figure::Last, report.last_ms);
    }
    Ok(sample)
}

fn logins(rig: Rig, command: &mut Command) -> Result<Sample, String> {
    let report: LoginReport = report_of(command)?;
    let mut sample = load(rig, Ok(report.load))?;
    sample.figures.insert(Figure::Growth, report.growth_percent);
    Ok(sample)
}

/// The figures of a run under load. The order of the processes is front, back, broker; without clients the generator is the
/// one that asks, and comes first.
fn load(rig: Rig, report: Result<LoadReport, String>) -> Result<Sample, String> {
    let report = report?;
    let each = |at: usize| report.each_us_per_msg.get(at).copied().unwrap_or_default();
    let (cpu, broker) = match rig {
        Rig::Mux | Rig::Calls { .. } => (report.generator_us_per_msg + each(0), each(1)),
        Rig::Pair | Rig::GoPair => (each(0) + each(1), each(2)),
        _ => (report.server_us_per_msg, 0.0),
    };
    // A server that took no part has no share: a frontend that answered by itself would look like a cheap cluster.
    let took_part = report.each_us_per_msg.iter().all(|us| *us > 0.0);
    let mut figures = BTreeMap::from([
        (Figure::Rate, report.msgs_per_sec),
        (Figure::P50, report.p50_us),
        (Figure::P99, report.p99_us),
        (Figure::P999, report.p999_us),
        (Figure::Generator, report.generator_percent),
        (Figure::Server, report.server_percent),
    ]);
    if took_part {
        figures.extend([(Figure::Cpu, cpu), (Figure::CpuWithBroker, cpu + broker)]);
    }
    Ok(Sample { figures, errors: report.errors, first_error: report.first_error, paced: false })
}

fn list(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
