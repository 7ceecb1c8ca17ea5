//! A client that sends what it is told and hides nothing of what comes back.

use crate::PATIENCE;
use pitaya_core::wire::packet::{ACK, HEARTBEAT, MAX_BODY};
use pitaya_core::wire::{Message, MessageKind, Packet, PacketKind, RouteRef, inflate, packet};
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The handshake of the recorded clients.
pub const HANDSHAKE: &[u8] = br#"{"sys":{"platform":"mac","libVersion":"0.3.5-release","clientBuildNumber":"20","clientVersion":"2.1"},"user":{"age":30}}"#;

/// A stream of bytes whose reads can be given a deadline.
pub trait Stream: Read + Write + Send {
    /// How long a read may wait.
    fn limit(&mut self, time: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn limit(&mut self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

impl Stream for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    fn limit(&mut self, time: Duration) -> io::Result<()> {
        self.sock.set_read_timeout(Some(time))
    }
}

/// What came within a time.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole packet, header included.
    Packet(Vec<u8>),
    /// The end: closed or reset.
    End,
    /// Nothing.
    Nothing,
}

/// One connection.
pub struct Client {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Client {
    /// Connects to a plain TCP port.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn tcp(address: SocketAddr) -> Self {
        Self::over(connect(address))
    }

    /// Connects to a TLS port whose certificate, for `localhost`, is this one.
    ///
    /// # Panics
    /// When the TLS handshake fails.
    #[must_use]
    pub fn tls(address: SocketAddr, certificate: CertificateDer<'static>) -> Self {
        Self::tls_over(connect(address), certificate)
    }

    /// Begins TLS on a connection to such a port.
    ///
    /// # Panics
    /// When the TLS handshake fails.
    #[must_use]
    pub fn tls_over(stream: TcpStream, certificate: CertificateDer<'static>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a certificate that can be trusted");
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = rustls::ClientConnection::new(Arc::new(config), name).expect("a client of TLS");
        Self::over(rustls::StreamOwned::new(connection, stream))
    }

    /// A client of packets over any stream.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), read: Vec::new() }
    }

    /// Sends bytes as they are. A server that closes while it is being sent to is found out by the next read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// Sends a packet.
    ///
    /// # Panics
    /// For a body that fits in none.
    pub fn send_packet(&mut self, kind: PacketKind, body: &[u8]) {
        let mut bytes = Vec::new();
        packet::encode(kind, body, &mut bytes).expect("a body that fits");
        self.send(&bytes);
    }

    /// Waits for the next packet, heartbeats too.
    ///
    /// # Panics
    /// For bytes that are no packet, or half a packet at the end.
    pub fn next(&mut self, within: Duration) -> Heard {
        let end = Instant::now() + within;
        loop {
            let decoded = Packet::decode(&self.read, MAX_BODY).unwrap_or_else(|e| panic!("{e}: {:x?}", self.read));
            if let Some((_, length)) = decoded {
                return Heard::Packet(self.read.drain(..length).collect());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            self.stream.limit(left).expect("a socket can be given a deadline");
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    assert!(self.read.is_empty(), "half a packet before the end: {:x?}", self.read);
                    return Heard::End;
                }
                Ok(length) => self.read.extend_from_slice(&chunk[..length]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Heard::Nothing,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Heard::End,
            }
        }
    }

    /// The next packet that is no heartbeat, header included; the end, if that comes first.
    ///
    /// # Panics
    /// When nothing comes.
    pub fn packet_or_end(&mut self) -> Option<Vec<u8>> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Heard::Packet(packet) if packet == HEARTBEAT => {}
                Heard::Packet(packet) => return Some(packet),
                Heard::End => return None,
                Heard::Nothing => panic!("nothing came within {PATIENCE:?}"),
            }
        }
    }

    /// The next packet that is no heartbeat, header included.
    ///
    /// # Panics
    /// When nothing or the end comes.
    pub fn packet(&mut self) -> Vec<u8> {
        self.packet_or_end().expect("a packet, not the end of the connection")
    }

    /// The next packet, which is a message.
    ///
    /// # Panics
    /// When it is not.
    pub fn message(&mut self) -> Received {
        Received::from_packet(&self.packet())
    }

    /// Asserts that the server closes within a second without another word, and tells how long it took.
    ///
    /// # Panics
    /// When it does not.
    pub fn assert_closed(&mut self) -> Duration {
        let asked = Instant::now();
        let heard = self.next(Duration::from_secs(1));
        assert_eq!(heard, Heard::End, "closed within a second, silently");
        asked.elapsed()
    }

    /// Asserts that the server closes within a second; what it says before is not looked at.
    ///
    /// # Panics
    /// When it does not.
    pub fn assert_ended(&mut self) {
        let end = Instant::now() + Duration::from_secs(1);
        self.stream.limit(Duration::from_secs(1)).expect("a socket can be given a deadline");
        let mut chunk = [0; 1024];
        while !matches!(self.stream.read(&mut chunk), Ok(0)) {
            assert!(Instant::now() < end, "closed within a second");
        }
    }

    /// Sends the handshake and returns the document that answers it.
    ///
    /// # Panics
    /// When something else answers.
    pub fn shake_hands(&mut self) -> Value {
        self.send_packet(PacketKind::Handshake, HANDSHAKE);
        let packet = self.packet();
        assert_eq!(packet[0], PacketKind::Handshake as u8, "{packet:x?}");
        serde_json::from_slice(&packet[packet::HEADER..]).expect("a handshake is JSON")
    }

    /// Handshake and acknowledgement: messages may follow. Returns the server's handshake.
    ///
    /// # Panics
    /// When the server does not accept.
    pub fn open(&mut self) -> Value {
        let terms = self.shake_hands();
        assert_eq!(terms["code"], 200, "{terms}");
        self.send(&ACK);
        terms
    }

    /// Sends a request.
    pub fn send_request(&mut self, id: u64, route: &str, body: &[u8]) {
        self.send_packet(PacketKind::Data, &encode(MessageKind::Request, id, route, body));
    }

    /// Sends a notify.
    pub fn notify(&mut self, route: &str, body: &[u8]) {
        self.send_packet(PacketKind::Data, &encode(MessageKind::Notify, 0, route, body));
    }

    /// Sends a request and returns its answer, which must be the next message.
    ///
    /// # Panics
    /// When another comes, or none.
    pub fn request(&mut self, id: u64, route: &str, body: &[u8]) -> Received {
        self.send_request(id, route, body);
        let answer = self.message();
        assert_eq!((answer.kind, answer.id), (MessageKind::Response, id), "{answer:?}");
        answer
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("read", &self.read).finish_non_exhaustive()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap_or_else(|e| panic!("{address}: {e}"));
    stream.set_nodelay(true).expect("a socket without delay");
    stream
}

fn encode(kind: MessageKind, id: u64, route: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = Message { kind, id, route: Some(RouteRef::from(route)), compressed: false, error: false, body };
    message.encode(&mut bytes).expect("a message that the wire can say");
    bytes
}

/// A message as it was meant: inflated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who speaks.
    pub kind: MessageKind,
    /// Which request it answers.
    pub id: u64,
    /// The route of a push, else empty.
    pub route: String,
    /// Whether the body is an error.
    pub error: bool,
    /// Whether it travelled compressed.
    pub compressed: bool,
    /// The body, inflated.
    pub body: Vec<u8>,
}

impl Received {
    /// Reads a whole data packet.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn from_packet(packet: &[u8]) -> Self {
        let [kind, _, _, _, message @ ..] = packet else { panic!("{packet:x?} is no packet") };
        assert_eq!(*kind, PacketKind::Data as u8, "{packet:x?} is no message");
        let message = Message::decode(message).unwrap_or_else(|e| panic!("{packet:x?}: {e}"));
        let mut body = message.body.to_vec();
        if message.compressed {
            body.clear();
            inflate(message.body, usize::MAX, &mut body).unwrap_or_else(|e| panic!("{packet:x?}: {e}"));
        }
        let route = match message.route {
            Some(RouteRef::Name(name)) => String::from_utf8(name.to_vec()).expect("a route is text"),
            Some(RouteRef::Code(code)) => format!("code {code}"),
            None => String::new(),
        };
        let Message { kind, id, error, compressed, .. } = message;
        Self { kind, id, route, error, compressed, body }
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{self:?}: {e}"))
    }
}
