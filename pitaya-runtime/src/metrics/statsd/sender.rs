//! Sends lines to StatsD: packs them into datagrams, and finds an address that takes them.
//!
//! UDP tells little. A name may have several addresses of which the first has no listener (`::1` of `localhost`), and the
//! address of a name changes when its receiver moves. So IPv4 addresses come first, as in Go; a send that the system
//! refuses moves on to the next address; and the name is resolved again once a minute and after such a refusal.

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::lookup_host;
use tokio::time::timeout;

/// Time between two resolutions of the name while all is well, and without an error until a receiver counts as reached
/// again.
const MINUTE: Duration = Duration::from_secs(60);
/// Upper bound of one resolution.
const RESOLVE: Duration = Duration::from_secs(1);

pub(super) struct Sender {
    host: String,
    /// Upper bound of a datagram, in bytes.
    datagram: usize,
    socket: ArcSwapOption<UdpSocket>,
    target: Mutex<Target>,
    /// A send was refused since the name was resolved.
    refused: AtomicBool,
    /// When something last failed; none while all is well. One warning a time.
    failing: Mutex<Option<Instant>>,
    /// Whether a line longer than a datagram was logged.
    oversize: AtomicBool,
    waiting: Mutex<String>,
    /// Bytes that could not be sent.
    dropped: AtomicU64,
}

/// The receiver, as far as it is known.
#[derive(Default)]
struct Target {
    resolved: Option<Instant>,
    address: Option<SocketAddr>,
}

impl Sender {
    pub(super) fn new(host: &str, datagram: usize) -> Self {
        Self {
            host: host.to_owned(),
            datagram,
            socket: ArcSwapOption::empty(),
            target: Mutex::default(),
            refused: AtomicBool::new(false),
            failing: Mutex::default(),
            oversize: AtomicBool::new(false),
            waiting: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Resolves the name and opens the socket, if that is due.
    pub(super) async fn refresh(&self) {
        let refused = self.refused.swap(false, Relaxed);
        let fresh = self.target.lock().resolved.is_some_and(|at| at.elapsed() < MINUTE);
        if fresh && !refused && self.socket.load().is_some() {
            return self.look_at_the_clock();
        }
        match timeout(RESOLVE, lookup_host(&self.host)).await {
            Ok(Ok(found)) => self.choose(found.collect(), refused),
            Ok(Err(error)) => self.fails(&format_args!("its name cannot be resolved: {error}")),
            Err(_) => self.fails(&format_args!("its name was not resolved within {RESOLVE:?}")),
        }
    }

    /// Keeps the present address if it is among these and took what was sent, else goes on to the next that can be used.
    fn choose(&self, mut found: Vec<SocketAddr>, refused: bool) {
        // Stable: the order of the resolver within each family.
        found.sort_by_key(SocketAddr::is_ipv6);
        let mut target = self.target.lock();
        target.resolved = Some(Instant::now());
        let present = target.address.and_then(|address| found.iter().position(|known| *known == address));
        let first = match present {
            Some(_) if !refused => return,
            Some(place) => place + 1,
            None => 0,
        };
        let mut problem = io::Error::new(ErrorKind::NotFound, "its name has no address");
        for step in 0..found.len() {
            let address = found[(first + step) % found.len()];
            match connect(address) {
                Ok(socket) => {
                    target.address = Some(address);
                    return self.socket.store(Some(Arc::new(socket)));
                }
                Err(error) => problem = error,
            }
        }
        drop(target);
        self.fails(&problem);
    }

    /// Adds one or several lines, which stay together.
    pub(super) fn put(&self, lines: &str) {
        if lines.len() > self.datagram {
            self.dropped.fetch_add(lines.len() as u64, Relaxed);
            if !self.oversize.swap(true, Relaxed) {
                let start: String = lines.chars().take(80).collect();
                tracing::warn!(
                    bytes = lines.len(),
                    start,
                    "line for StatsD dropped: longer than pitaya.metrics.statsd.datagram; further ones are only counted"
                );
            }
            return;
        }
        let mut waiting = self.waiting.lock();
        if !waiting.is_empty() && waiting.len() + 1 + lines.len() > self.datagram {
            self.send(&mut waiting);
        }
        if !waiting.is_empty() {
            waiting.push('\n');
        }
        waiting.push_str(lines);
    }

    /// Sends what waits.
    pub(super) fn flush(&self) {
        self.send(&mut self.waiting.lock());
    }

    /// Never waits: what the system does not take at once is dropped, and counted.
    fn send(&self, waiting: &mut String) {
        if waiting.is_empty() {
            return;
        }
        let socket = self.socket.load();
        let sent = socket.as_ref().map(|socket| socket.send(waiting.as_bytes()));
        if matches!(&sent, Some(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
            && let Some(socket) = &*socket
        {
            // The system says this of the datagram before, and has not sent this one: a receiver that is back gets it.
            let _ = socket.send(waiting.as_bytes());
        }
        if !matches!(sent, Some(Ok(_))) {
            self.dropped.fetch_add(waiting.len() as u64, Relaxed);
        }
        if let Some(Err(error)) = sent
            && error.kind() != ErrorKind::WouldBlock
        {
            self.refused.store(true, Relaxed);
            self.fails(&error);
        }
        waiting.clear();
    }

    /// How many bytes could not be sent.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn fails(&self, problem: &dyn Display) {
        if self.failing.lock().replace(Instant::now()).is_none() {
            tracing::warn!(
                host = self.host,
                error = %problem,
                "StatsD unreachable: metrics are dropped and counted until it is (pitaya.metrics.statsd.host)"
            );
        }
    }

    /// Counts the receiver as reached when nothing has failed for a while.
    fn look_at_the_clock(&self) {
        let mut failing = self.failing.lock();
        if failing.is_some_and(|last| last.elapsed() >= MINUTE) {
            *failing = None;
            tracing::info!(host = self.host, "StatsD reached again");
        }
    }
}

/// A socket of the standard library: tokio's takes nothing before its first turn of the event loop.
fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match to.is_ipv4() {
        true => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        false => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    };
    socket.set_nonblocking(true)?;
    socket.connect(to)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    fn text(receiver: &UdpSocket) -> String {
        let mut buffer = [0; 2048];
        let length = receiver.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn say(sender: &Sender, line: &str) {
        sender.put(line);
        sender.flush();
    }

    #[test]
    fn addresses_of_version_4_come_first() {
        let sender = Sender::new("name:1", 100);
        let there = receiver("127.0.0.1:0");
        let port = there.local_addr().unwrap().port();
        sender.choose(vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()], false);
        say(&sender, "a:1|c");
        assert_eq!((text(&there), sender.dropped()), ("a:1|c".to_owned(), 0));
    }

    /// The system tells of a refusal with a later send.
    fn until_refused(sender: &Sender) {
        let end = Instant::now() + Duration::from_secs(10);
        while !sender.refused.load(Relaxed) {
            assert!(Instant::now() < end, "it is refused");
            say(sender, "lost:1|c");
        }
    }

    #[test]
    fn an_address_that_refuses_is_left_for_the_next_and_an_address_that_moved_is_followed() {
        let sender = Sender::new("name:1", 100);
        let (nobody, there) = (receiver("127.0.0.1:0"), receiver("127.0.0.1:0"));
        let addresses = [nobody.local_addr().unwrap(), there.local_addr().unwrap()];
        drop(nobody);
        sender.choose(addresses.to_vec(), false);
        until_refused(&sender);
        assert!(sender.dropped() > 0 && sender.failing.lock().is_some());
        sender.choose(addresses.to_vec(), true);
        say(&sender, "a:1|c");
        assert_eq!(text(&there), "a:1|c");
        // Nothing is changed while the address holds.
        sender.choose(addresses.to_vec(), false);
        say(&sender, "b:1|c");
        assert_eq!(text(&there), "b:1|c");
        let moved = receiver("127.0.0.1:0");
        sender.choose(vec![moved.local_addr().unwrap()], false);
        say(&sender, "c:1|c");
        assert_eq!(text(&moved), "c:1|c");
    }

    #[test]
    fn a_receiver_that_is_back_gets_the_first_datagram() {
        let sender = Sender::new("name:1", 100);
        let gone = receiver("127.0.0.1:0");
        let address = gone.local_addr().unwrap();
        drop(gone);
        sender.choose(vec![address], false);
        say(&sender, "lost:1|c");
        let back = receiver(&address.to_string());
        say(&sender, "a:1|c");
        assert_eq!(text(&back), "a:1|c");
    }

    #[test]
    fn no_datagram_is_longer_than_it_may_be_and_lines_that_belong_together_stay_so() {
        let there = receiver("127.0.0.1:0");
        let sender = Sender::new("name:1", 20);
        sender.choose(vec![there.local_addr().unwrap()], false);
        for lines in ["first:1|c", "ab:0|g\nab:-5|g", "longer_than_that:1|c", "last:1|c"] {
            sender.put(lines);
        }
        sender.put("longer_than_it_may_be:1|c");
        sender.flush();
        let came: Vec<_> = (0..4).map(|_| text(&there)).collect();
        assert_eq!(came, ["first:1|c", "ab:0|g\nab:-5|g", "longer_than_that:1|c", "last:1|c"]);
        assert_eq!(sender.dropped(), 25);
    }

    #[tokio::test]
    async fn the_name_is_resolved_again_after_a_refusal() {
        let nobody = receiver("127.0.0.1:0");
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let sender = Sender::new(&address.to_string(), 100);
        sender.refresh().await;
        let first = sender.target.lock().resolved;
        sender.refresh().await;
        assert_eq!(sender.target.lock().resolved, first, "a minute has not passed");
        until_refused(&sender);
        sender.refresh().await;
        assert_ne!(sender.target.lock().resolved, first);
    }
}
