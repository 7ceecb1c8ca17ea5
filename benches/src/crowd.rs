//! Many players on one epoll loop.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::player::{Event, Player};

/// The loop and all who are connected. A number that was free is given again.
#[derive(Debug)]
pub struct Crowd {
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    members: Vec<Option<Member>>,
    free: Vec<usize>,
    epoch: Instant,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

#[derive(Debug)]
struct Member {
    stream: TcpStream,
    player: Player,
    /// Reads nothing.
    deaf: bool,
}

impl Crowd {
    /// Nobody, on the way to a server.
    ///
    /// # Errors
    /// The system refuses an epoll instance.
    pub fn new(addr: SocketAddr) -> Result<Self, String> {
        Ok(Self {
            addr,
            poll: Poll::new().map_err(|e| format!("epoll: {e}"))?,
            events: Events::with_capacity(1024),
            members: Vec::new(),
            free: Vec::new(),
            epoch: Instant::now(),
            scratch: vec![0; 64 * 1024],
            out: Vec::new(),
        })
    }

    /// Connects one more, who says hello at once; returns its number. With a `buffer` the kernel keeps only so many bytes
    /// for it.
    ///
    /// # Errors
    /// A text when the server is not there.
    pub fn dial(&mut self, buffer: Option<usize>) -> Result<usize, String> {
        let number = self.free.pop().unwrap_or(self.members.len());
        let stream = self.connect(number, buffer).map_err(|e| format!("cannot connect to {}: {e}", self.addr))?;
        let member = Member { stream, player: Player::default(), deaf: false };
        if number == self.members.len() {
            self.members.push(Some(member));
        } else {
            self.members[number] = Some(member);
        }
        Player::start(&mut self.out);
        self.flush(number)?;
        Ok(number)
    }

    fn connect(&mut self, number: usize, buffer: Option<usize>) -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.addr), Type::STREAM, None)?;
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect(&self.addr.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(socket.into());
        self.poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        Ok(stream)
    }

    /// Ends a connection.
    pub fn leave(&mut self, number: usize) {
        if self.members.get_mut(number).and_then(Option::take).is_some() {
            self.free.push(number);
        }
    }

    /// From here on this one reads nothing.
    pub fn deafen(&mut self, number: usize) {
        if let Some(member) = &mut self.members[number] {
            member.deaf = true;
        }
    }

    /// One of them asks.
    ///
    /// # Errors
    /// The socket does not take it: these clients say little, so something is wrong.
    pub fn request(&mut self, number: usize, route: &str, body: &[u8]) -> Result<(), String> {
        if let Some(member) = &mut self.members[number] {
            member.player.request(route, body, &mut self.out);
        }
        self.flush(number)
    }

    /// One of them tells.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn notify(&mut self, number: usize, route: &str, body: &[u8]) -> Result<(), String> {
        Player::notify(route, body, &mut self.out);
        self.flush(number)
    }

    /// Nanoseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// One look at the sockets: what each of them heard, and when.
    ///
    /// # Errors
    /// A text when a connection is lost or something came that should not.
    pub fn turn(&mut self, timeout: Duration, mut heard: impl FnMut(usize, Event<'_>, u64)) -> Result<(), String> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(format!("epoll: {e}")),
            _ => {}
        }
        for event in &events {
            self.read(event.token().0, &mut heard)?;
        }
        self.events = events;
        Ok(())
    }

    fn read(&mut self, number: usize, heard: &mut impl FnMut(usize, Event<'_>, u64)) -> Result<(), String> {
        loop {
            let Some(member) = &mut self.members[number] else { return Ok(()) };
            if member.deaf {
                return Ok(());
            }
            let got = match member.stream.read(&mut self.scratch) {
                Ok(0) => return Err("the server closed a connection".to_owned()),
                Ok(got) => got,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(format!("read: {e}")),
            };
            let now = self.epoch.elapsed().as_nanos() as u64;
            member.player.receive(&self.scratch[..got], &mut self.out, |event| heard(number, event, now))?;
            if !self.out.is_empty() {
                self.flush(number)?;
            }
            if got < self.scratch.len() {
                return Ok(());
            }
        }
    }

    fn flush(&mut self, number: usize) -> Result<(), String> {
        let result = match &mut self.members[number] {
            Some(member) => member.stream.write_all(&self.out).map_err(|e| format!("write: {e}")),
            None => Ok(()),
        };
        self.out.clear();
        result
    }
}
