//! Sockets, clock and load: many sessions on one epoll loop.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::{ClientConfig, ClientConnection};

use crate::body::Body;
use crate::procfs::{self, Cost};
use crate::report::{IdleReport, LoadReport};
use crate::session::Session;
use crate::tally::Tally;
use crate::transport::{Socket, Transport, tls_client, tls_name};

/// Connections that are in their handshake at the same time: fewer than any listener's backlog.
const DIAL_AT_ONCE: usize = 200;
/// How long a handshake may take, and how long the last answers may.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sessions opened before the server's memory is read first: they pay for what a server allocates once.
const IDLE_WARM_UP: usize = 200;

/// Whom to call, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server.
    pub addr: SocketAddr,
    /// Route of every request.
    pub route: String,
    /// Body of every request.
    pub body: Body,
    /// What carries the packets.
    pub transport: Transport,
    /// The server does not keep the order of a session's answers.
    pub unordered: bool,
    /// Processes whose CPU time and memory are read.
    pub servers: Vec<u32>,
}

/// How hard to press.
#[derive(Debug, Clone)]
pub struct Load {
    /// Connections.
    pub conns: usize,
    /// Requests in flight per connection, at most.
    pub depth: usize,
    /// What is measured.
    pub window: Duration,
    /// What comes before it.
    pub warm_up: Duration,
    /// Requests per second over all connections (open loop); `None` sends as fast as answers come.
    pub rate: Option<f64>,
    /// So many requests (closed loop), however long that takes; `window` then means nothing and there is no warm-up.
    pub messages: Option<u64>,
}

#[derive(Debug)]
struct Conn {
    socket: Socket,
    session: Session,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
    /// When the next request is due (open loop).
    next_due: u64,
    alive: bool,
}

/// The loop and all of its connections.
#[derive(Debug)]
pub struct Generator {
    target: Target,
    poll: Poll,
    events: Events,
    conns: Vec<Conn>,
    tally: Tally,
    epoch: Instant,
    /// Requests each session keeps in flight by itself; 0 in an open loop and while draining.
    keep: usize,
    /// Requests that may still be sent.
    budget: u64,
    tls: Arc<ClientConfig>,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

impl Generator {
    /// A generator without connections.
    ///
    /// # Errors
    /// The system refuses an epoll instance.
    pub fn new(target: Target) -> Result<Self, String> {
        Ok(Self {
            target,
            poll: Poll::new().map_err(|e| format!("epoll: {e}"))?,
            events: Events::with_capacity(1024),
            conns: Vec::new(),
            tally: Tally::default(),
            epoch: Instant::now(),
            keep: 0,
            budget: u64::MAX,
            tls: tls_client().map_err(|e| format!("TLS: {e}"))?,
            scratch: vec![0; 64 * 1024],
            out: Vec::with_capacity(64 * 1024),
        })
    }

    /// Connects, warms up, measures, waits for the last answers.
    ///
    /// # Errors
    /// A text when the sessions cannot be opened or the server's `/proc` entry cannot be read.
    pub fn load(mut self, load: &Load) -> Result<LoadReport, String> {
        self.open(load.conns)?;
        if let Some(messages) = load.messages {
            return self.exactly(messages, load.depth);
        }
        let start = self.now();
        let interval = load.rate.map(|rate| (load.conns as f64 * 1e9 / rate) as u64);
        match interval {
            // The connections take turns: their first requests are spread over one interval.
            Some(interval) => {
                for (index, conn) in self.conns.iter_mut().enumerate() {
                    conn.next_due = start + interval * index as u64 / load.conns as u64;
                }
            }
            None => {
                self.keep = load.depth;
                (0..self.conns.len()).for_each(|index| self.refill(index));
            }
        }
        let pace = interval.map(|interval| (interval, load.depth));

        let open = start + load.warm_up.as_nanos() as u64;
        self.run_until(open, pace)?;
        let before = self.cost()?;
        let open = self.now();
        let close = open + load.window.as_nanos() as u64;
        self.tally.open(open..close);
        self.run_until(close, pace)?;
        let secs = (self.now() - open) as f64 / 1e9;
        let after = self.cost()?;

        self.keep = 0;
        self.drain(close, pace)?;
        let left: usize = self.conns.iter().filter(|conn| conn.alive).map(|conn| conn.session.in_flight()).sum();
        self.tally.fail(left as u64, || "no answer".to_owned());

        Ok(LoadReport::new(self.tally, secs, after.generator - before.generator, &after.servers_since(&before)))
    }

    /// A closed loop over a given number of requests.
    fn exactly(mut self, messages: u64, depth: usize) -> Result<LoadReport, String> {
        let (before, start) = (self.cost()?, self.now());
        self.tally.open(start..u64::MAX);
        (self.keep, self.budget) = (depth, messages);
        (0..self.conns.len()).for_each(|index| self.refill(index));
        let mut last = (self.now(), 0);
        while self.tally.answers < messages && self.tally.failures == 0 {
            self.turn(Some(Duration::from_millis(100)))?;
            if self.tally.answers > last.1 {
                last = (self.now(), self.tally.answers);
            } else if self.now() > last.0 + PATIENCE.as_nanos() as u64 {
                self.tally.fail(messages - last.1, || "no answer".to_owned());
            }
        }
        let secs = (self.now() - start) as f64 / 1e9;
        let after = self.cost()?;
        Ok(LoadReport::new(self.tally, secs, after.generator - before.generator, &after.servers_since(&before)))
    }

    /// Opens `sessions` on top of a few that warm the server up, reads the server's memory before and after, and holds
    /// them all for `hold`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn idle(mut self, sessions: usize, hold: Duration) -> Result<IdleReport, String> {
        self.open(IDLE_WARM_UP)?;
        let before = self.memory()?;
        let start = Instant::now();
        self.open(sessions)?;
        let rate = sessions as f64 / start.elapsed().as_secs_f64();
        let (cost, held) = (self.cost()?, self.now());
        // The last acks are on their way: what they change in the server belongs to the sessions.
        self.run_until(self.now() + hold.as_nanos() as u64, None)?;
        let used: Duration = self.cost()?.servers_since(&cost).iter().sum();
        let server_percent = used.as_secs_f64() * 1e11 / (self.now() - held) as f64;
        let grown = self.memory()? as f64 - before as f64;
        Ok(IdleReport {
            sessions,
            bytes_per_session: grown / sessions as f64,
            errors: self.tally.failures,
            first_error: self.tally.first_failure,
            sessions_per_sec: rate,
            server_percent,
        })
    }

    fn open(&mut self, count: usize) -> Result<(), String> {
        let goal = self.conns.len() + count;
        while self.conns.len() < goal {
            for _ in 0..DIAL_AT_ONCE.min(goal - self.conns.len()) {
                self.dial().map_err(|e| format!("cannot connect to {}: {e}", self.target.addr))?;
            }
            let deadline = self.now() + PATIENCE.as_nanos() as u64;
            while !self.conns.iter().all(|conn| conn.session.is_working()) {
                self.turn(Some(Duration::from_millis(100)))?;
                if let Some(why) = &self.tally.first_failure {
                    return Err(format!("a session could not be opened: {why}"));
                }
                if self.now() > deadline {
                    return Err("the handshake was not answered in 10 s".to_owned());
                }
            }
        }
        Ok(())
    }

    fn dial(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let index = self.conns.len();
        let stream = std::net::TcpStream::connect(self.target.addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        let socket = match self.target.transport {
            Transport::Tcp | Transport::WebSocket => Socket::Plain(stream),
            Transport::Tls => Socket::Tls(stream, Box::new(ClientConnection::new(self.tls.clone(), tls_name())?)),
        };
        let web_socket = self.target.transport == Transport::WebSocket;
        let mut session = Session::new(index, &self.target.route, self.target.body, web_socket)?;
        if self.target.unordered {
            session = session.unordered();
        }
        session.start(&mut self.out);
        self.conns.push(Conn { socket, session, unsent: Vec::new(), next_due: 0, alive: true });
        self.flush(index);
        Ok(())
    }

    fn run_until(&mut self, end: u64, pace: Option<(u64, usize)>) -> Result<(), String> {
        loop {
            let now = self.now();
            if now >= end {
                return Ok(());
            }
            if self.conns.iter().all(|conn| !conn.alive) {
                let why = self.tally.first_failure.as_deref().unwrap_or("none was opened");
                return Err(format!("every connection is lost: {why}"));
            }
            match pace {
                // An open loop never sleeps: a timer would add its own lateness to every latency.
                Some(pace) => {
                    self.send_due(now.min(end), pace);
                    self.turn(Some(Duration::ZERO))?;
                }
                None => self.turn(Some(Duration::from_nanos(end - now)))?,
            }
        }
    }

    /// Sends what was due before `close` and waits for every answer, or until patience ends.
    fn drain(&mut self, close: u64, pace: Option<(u64, usize)>) -> Result<(), String> {
        let deadline = self.now() + PATIENCE.as_nanos() as u64;
        loop {
            let mut waiting = false;
            if let Some(pace) = pace {
                self.send_due(close - 1, pace);
                waiting = self.conns.iter().any(|conn| conn.alive && conn.next_due < close);
            }
            waiting |= self.conns.iter().any(|conn| conn.alive && conn.session.in_flight() > 0);
            if !waiting || self.now() > deadline {
                return Ok(());
            }
            self.turn(Some(Duration::from_millis(1)))?;
        }
    }

    /// Sends every request that is due by `now`, as far as the depth allows; the rest keeps its due time.
    fn send_due(&mut self, now: u64, (interval, depth): (u64, usize)) {
        for index in 0..self.conns.len() {
            let conn = &mut self.conns[index];
            while conn.alive && conn.next_due <= now && conn.session.in_flight() < depth {
                conn.session.request(conn.next_due, &mut self.out);
                conn.next_due += interval;
            }
            self.flush(index);
        }
    }

    /// One look at the sockets.
    fn turn(&mut self, timeout: Option<Duration>) -> Result<(), String> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, timeout) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(format!("epoll: {e}")),
            _ => {}
        }
        for event in &events {
            let index = event.token().0;
            if let Err(why) = self.serve(index) {
                let conn = &mut self.conns[index];
                conn.alive = false;
                let lost = 1 + conn.session.in_flight() as u64;
                self.tally.fail(lost, || why);
                self.out.clear();
            }
        }
        self.events = events;
        Ok(())
    }

    fn serve(&mut self, index: usize) -> Result<(), String> {
        loop {
            let conn = &mut self.conns[index];
            if !conn.alive {
                return Ok(());
            }
            let got = match conn.socket.read(&mut self.scratch) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(got) => got,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(format!("read: {e}")),
            };
            let now = nanos_since(self.epoch);
            conn.session.receive(&self.scratch[..got], now, &mut self.out, &mut self.tally)?;
            // The next byte raises a new edge.
            if got < self.scratch.len() && conn.socket.short_read_is_last() {
                break;
            }
        }
        self.refill(index);
        Ok(())
    }

    /// Closed loop: as many new requests as there is room for, then one write.
    fn refill(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        if conn.session.in_flight() < self.keep && conn.session.is_working() {
            let now = nanos_since(self.epoch);
            while conn.session.in_flight() < self.keep && self.budget > 0 {
                conn.session.request(now, &mut self.out);
                self.budget -= 1;
            }
        }
        self.flush(index);
    }

    /// Writes `out`, after what is left from before. A write error shows at the next read.
    fn flush(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        if conn.unsent.is_empty() {
            if !self.out.is_empty() {
                let sent = write_some(&mut conn.socket, &self.out);
                conn.unsent.extend_from_slice(&self.out[sent..]);
            }
        } else {
            conn.unsent.extend_from_slice(&self.out);
            let sent = write_some(&mut conn.socket, &conn.unsent);
            conn.unsent.drain(..sent);
        }
        self.out.clear();
    }

    fn now(&self) -> u64 {
        nanos_since(self.epoch)
    }

    fn cost(&self) -> Result<Cost, String> {
        Cost::now(&self.target.servers)
    }

    fn memory(&self) -> Result<u64, String> {
        self.target.servers.iter().map(|pid| procfs::resident_bytes(*pid)).sum()
    }
}

fn nanos_since(epoch: Instant) -> u64 {
    epoch.elapsed().as_nanos() as u64
}

fn write_some(stream: &mut impl Write, bytes: &[u8]) -> usize {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(n) if n > 0 => sent += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    sent
}

#[cfg(test)]
mod tests;
