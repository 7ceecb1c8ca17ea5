//! A server to be scripted, one line of the wire after the other.

use pitaya_client::{Client, ConnectError, ConnectOptions};
use pitaya_core::wire::{
    Dictionary, HandshakeReply, Message, MessageKind, Packet, PacketKind, RouteRef, compress_tail, inflate, message,
    packet,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

pub struct Peer<S> {
    pub io: S,
    inbound: Vec<u8>,
}

/// A message as it came, its body opened.
#[derive(Debug, PartialEq)]
pub struct Got {
    pub kind: MessageKind,
    pub id: u64,
    pub route: Result<String, u16>,
    pub compressed: bool,
    pub body: Vec<u8>,
}

impl Got {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub fn new(io: S) -> Self {
        Self { io, inbound: Vec::new() }
    }

    /// The next packet, or `None` at the end of the stream.
    pub async fn packet(&mut self) -> Option<(PacketKind, Vec<u8>)> {
        loop {
            if let Some((packet, used)) = Packet::decode(&self.inbound, packet::MAX_BODY).unwrap() {
                let owned = (packet.kind, packet.body.to_vec());
                self.inbound.drain(..used);
                return Some(owned);
            }
            if self.io.read_buf(&mut self.inbound).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub async fn expect(&mut self, kind: PacketKind) -> Vec<u8> {
        let (got, body) = self.packet().await.expect("the client is still there");
        assert_eq!(got, kind);
        body
    }

    pub async fn message(&mut self) -> Got {
        let bytes = self.expect(PacketKind::Data).await;
        let message = Message::decode(&bytes).unwrap();
        let mut body = message.body.to_vec();
        if message.compressed {
            body.clear();
            inflate(message.body, packet::MAX_BODY, &mut body).unwrap();
        }
        let route = match message.route.unwrap() {
            RouteRef::Name(name) => Ok(String::from_utf8(name.to_vec()).unwrap()),
            RouteRef::Code(code) => Err(code),
        };
        Got { kind: message.kind, id: message.id, route, compressed: message.compressed, body }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// Reads the client's handshake, accepts it, and waits for the ack.
    pub async fn accept(&mut self, reply: &HandshakeReply<'_>) -> Vec<u8> {
        let handshake = self.expect(PacketKind::Handshake).await;
        self.send(&reply.ok()).await;
        assert_eq!(self.expect(PacketKind::HandshakeAck).await, b"");
        handshake
    }

    pub async fn respond(&mut self, id: u64, body: impl AsRef<[u8]>) {
        self.send(&response(id, false, body.as_ref())).await;
    }

    pub async fn fail(&mut self, id: u64, body: impl AsRef<[u8]>) {
        self.send(&response(id, true, body.as_ref())).await;
    }

    pub async fn push(&mut self, route: &str, body: impl AsRef<[u8]>) {
        self.send(&push(RouteRef::from(route), body.as_ref())).await;
    }
}

fn data(message: Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let at = packet::open(&mut out, PacketKind::Data);
    message.encode(&mut out).unwrap();
    packet::seal(&mut out, at).unwrap();
    out
}

pub fn response(id: u64, error: bool, body: &[u8]) -> Vec<u8> {
    data(Message { kind: MessageKind::Response, id, route: None, compressed: false, error, body })
}

pub fn push(route: RouteRef<'_>, body: &[u8]) -> Vec<u8> {
    data(Message { kind: MessageKind::Push, id: 0, route: Some(route), compressed: false, error: false, body })
}

/// The same data packet with its body compressed; `body` is that body as it was.
pub fn compressed(packet: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = packet.to_vec();
    assert!(compress_tail(&mut out, packet.len() - body.len()));
    out[packet::HEADER] |= message::COMPRESSED;
    packet::seal(&mut out, 0).unwrap();
    out
}

/// The terms of most tests. An interval that never comes in them.
pub fn terms<'a>(serializer: &'a str, dictionary: &'a Dictionary) -> HandshakeReply<'a> {
    HandshakeReply { heartbeat: 3600, serializer, dictionary }
}

/// A client and its server, connected by a pipe of 64 KiB.
pub async fn pair_with(options: &ConnectOptions, reply: &HandshakeReply<'_>) -> (Client, Peer<DuplexStream>) {
    let (mine, theirs) = duplex(64 << 10);
    let mut peer = Peer::new(theirs);
    let (client, _) = tokio::join!(options.over(mine), peer.accept(reply));
    (client.unwrap(), peer)
}

pub async fn pair() -> (Client, Peer<DuplexStream>) {
    pair_with(&Client::options(), &terms("json", &Dictionary::default())).await
}

/// Connects to a server that answers the handshake with these bytes and then ends.
pub async fn answered_with(bytes: &[u8]) -> Result<Client, ConnectError> {
    let (mine, theirs) = duplex(64 << 10);
    let options = Client::options();
    let (client, ()) = tokio::join!(options.over(mine), async {
        let mut peer = Peer::new(theirs);
        peer.expect(PacketKind::Handshake).await;
        peer.send(bytes).await;
    });
    client
}

/// A packet with a JSON body.
pub fn json(kind: PacketKind, body: &str) -> Vec<u8> {
    let mut out = Vec::new();
    packet::encode(kind, body.as_bytes(), &mut out).unwrap();
    out
}
