//! A client of bytes, for what a real client hides: the order of packets, flags, half a handshake.

use crate::support::SOON;
use pitaya_core::wire::{self, Message, MessageKind, Packet, PacketKind, RouteRef, inflate, packet};
use pitaya_runtime::prelude::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a server said, one packet; heartbeats are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The answer to a handshake.
    Welcome(String),
    /// The id of the request and the body.
    Answer(u64, String),
    /// The id of the request and the code of the error.
    Error(u64, String),
    /// The route and the body.
    Push(String, String),
    /// The body.
    Kick(String),
    /// The end of the stream, in order or by a reset.
    End,
}

pub fn answer(id: u64, body: &str) -> Said {
    Said::Answer(id, body.to_owned())
}

pub fn error(id: u64, code: &str) -> Said {
    Said::Error(id, code.to_owned())
}

pub fn push(route: &str, body: &str) -> Said {
    Said::Push(route.to_owned(), body.to_owned())
}

/// A whole packet with a message in it.
pub fn data(kind: MessageKind, id: u64, route: RouteRef<'_>, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let at = packet::open(&mut out, PacketKind::Data);
    let message = Message { kind, id, route: Some(route), compressed: false, error: false, body };
    message.encode(&mut out).expect("a short route");
    packet::seal(&mut out, at).expect("a short body");
    out
}

pub fn request(id: u64, route: &str, body: &str) -> Vec<u8> {
    data(MessageKind::Request, id, route.into(), body.as_bytes())
}

pub fn notify(route: &str, body: &str) -> Vec<u8> {
    data(MessageKind::Notify, 0, route.into(), body.as_bytes())
}

/// A packet around any bytes.
pub fn wrap(kind: PacketKind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    packet::encode(kind, body, &mut out).expect("fits");
    out
}

pub struct RawClient {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl RawClient {
    /// Connected, and silent.
    pub async fn silent(app: &App) -> Self {
        Self { stream: TcpStream::connect(app.addresses()[0]).await.expect("accepted"), read: Vec::new() }
    }

    /// Has said what it is and been welcomed, but has not acknowledged.
    pub async fn welcomed(app: &App, handshake: &str) -> Self {
        let mut client = Self::silent(app).await;
        client.send(&wrap(PacketKind::Handshake, handshake.as_bytes())).await;
        let said = client.hear().await;
        assert!(matches!(&said, Said::Welcome(text) if text.contains(r#""code":200"#)), "{said:?}");
        client
    }

    /// Ready for messages.
    pub async fn open(app: &App) -> Self {
        Self::open_as(app, "{}").await
    }

    pub async fn open_as(app: &App, handshake: &str) -> Self {
        let mut client = Self::welcomed(app, handshake).await;
        client.send(&packet::ACK).await;
        client
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    /// Sends a request and gives the next thing the server says.
    pub async fn ask(&mut self, id: u64, route: &str, body: &str) -> Said {
        self.send(&request(id, route, body)).await;
        self.hear().await
    }

    /// The next packet, heartbeats too; `None` at the end of the stream.
    pub async fn packet(&mut self) -> Option<(PacketKind, Vec<u8>)> {
        loop {
            if let Some((packet, used)) = Packet::decode(&self.read, packet::MAX_BODY).expect("servers send packets") {
                let packet = (packet.kind, packet.body.to_vec());
                self.read.drain(..used);
                return Some(packet);
            }
            let read = timeout(SOON, self.stream.read_buf(&mut self.read)).await.expect("the server says something");
            if read.unwrap_or(0) == 0 {
                assert!(self.read.is_empty(), "half a packet: {:?}", self.read);
                return None;
            }
        }
    }

    pub async fn hear(&mut self) -> Said {
        loop {
            let Some((kind, body)) = self.packet().await else { return Said::End };
            let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
            match kind {
                PacketKind::Heartbeat => {}
                PacketKind::Handshake => return Said::Welcome(text(&body)),
                PacketKind::Kick => return Said::Kick(text(&body)),
                PacketKind::Data => return read_message(&body),
                PacketKind::HandshakeAck => panic!("a server sent {kind:?}"),
            }
        }
    }

    /// Everything until the end of the stream, without the end.
    pub async fn rest(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        loop {
            match self.hear().await {
                Said::End => return all,
                said => all.push(said),
            }
        }
    }

    /// That nothing but heartbeats comes for this long.
    pub async fn hears_nothing(&mut self, time: Duration) {
        if let Ok(said) = timeout(time, self.hear()).await {
            panic!("heard {said:?}");
        }
    }
}

fn read_message(body: &[u8]) -> Said {
    let message = Message::decode(body).expect("servers send messages");
    let mut inflated = Vec::new();
    let body = if message.compressed {
        inflate(message.body, packet::MAX_BODY, &mut inflated).expect("servers send zlib");
        &inflated
    } else {
        message.body
    };
    let text = String::from_utf8_lossy(body).into_owned();
    match (message.kind, message.route) {
        (MessageKind::Response, _) if message.error => {
            let error: serde_json::Value = serde_json::from_slice(body).expect("an error in JSON");
            Said::Error(message.id, error["code"].as_str().unwrap_or_default().to_owned())
        }
        (MessageKind::Response, _) => Said::Answer(message.id, text),
        (MessageKind::Push, Some(wire::RouteRef::Name(name))) => {
            Said::Push(String::from_utf8_lossy(name).into_owned(), text)
        }
        (MessageKind::Push, Some(wire::RouteRef::Code(code))) => Said::Push(format!("#{code}"), text),
        other => panic!("a server sent {other:?}"),
    }
}
