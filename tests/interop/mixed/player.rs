//! A client of a frontend: asks, and keeps the pushes that came meanwhile.

use crate::body::Codec;
use pitaya_core::wire::{MessageKind, PacketKind};
use pitaya_tests::client::{Client, Received};
use std::net::SocketAddr;

/// One player.
#[derive(Debug)]
pub(crate) struct Player {
    client: Client,
    requests: u64,
    /// In the order they came.
    pushes: Vec<Received>,
    codec: Codec,
}

impl Player {
    /// Connects and shakes hands.
    pub(crate) fn open(address: SocketAddr, codec: Codec) -> Self {
        let mut client = Client::tcp(address);
        let terms = client.open();
        assert_eq!(terms["sys"]["serializer"], codec.name());
        Self { client, requests: 0, pushes: Vec::new(), codec }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, route: &str, body: &[u8]) -> Received {
        self.requests += 1;
        self.client.send_request(self.requests, route, body);
        loop {
            let message = self.client.message();
            match message.kind {
                MessageKind::Push => self.pushes.push(message),
                _ => {
                    assert_eq!((message.kind, message.id), (MessageKind::Response, self.requests), "{route}");
                    return message;
                }
            }
        }
    }

    /// Asks, and gets exactly these bytes.
    pub(crate) fn gets(&mut self, route: &str, body: &[u8], wanted: &[u8]) {
        let answer = self.ask(route, body);
        assert_eq!((answer.error, show(&answer.body)), (false, show(wanted)), "{route} {}", show(body));
    }

    /// Asks, and is refused with exactly this.
    pub(crate) fn refused(&mut self, route: &str, body: &[u8], code: &str, msg: &str, metadata: Option<(&str, &str)>) {
        let answer = self.ask(route, body);
        let wanted = self.codec.error(code, msg, metadata);
        assert_eq!((answer.error, show(&answer.body)), (true, show(&wanted)), "{route} {}", show(body));
    }

    /// Binds itself through a route that takes a uid, and tells the uid.
    pub(crate) fn bind(&mut self, route: &str) -> String {
        let uid = crate::cluster::unique("user");
        let answer = self.ask(route, uid.as_bytes());
        assert!(!answer.error, "{route}: {}", show(&answer.body));
        uid
    }

    /// Sends a notify.
    pub(crate) fn notify(&mut self, route: &str, body: &[u8]) {
        self.client.notify(route, body);
    }

    /// Gets a push with this route and exactly these bytes; others may come before it.
    pub(crate) fn hears(&mut self, route: &str, wanted: &[u8]) {
        loop {
            if let Some(at) = self.pushes.iter().position(|push| push.route == route) {
                let push = self.pushes.remove(at);
                assert_eq!(show(&push.body), show(wanted), "{route}");
                return;
            }
            let message = self.client.message();
            assert_eq!(message.kind, MessageKind::Push, "{route} is waited for: {message:?}");
            self.pushes.push(message);
        }
    }

    /// Pushes that came and were not looked at.
    pub(crate) fn unheard(&self) -> usize {
        self.pushes.len()
    }

    /// Asks for what ends with a kick; an answer that comes before it is not looked at.
    pub(crate) fn asks_to_be_kicked(&mut self, route: &str) {
        self.requests += 1;
        self.client.send_request(self.requests, route, b"");
        self.is_kicked();
    }

    /// Gets a kick, and then the end.
    pub(crate) fn is_kicked(&mut self) {
        loop {
            let packet = self.client.packet_or_end().expect("a kick before the end");
            if packet[0] == PacketKind::Kick as u8 {
                break;
            }
        }
        assert_eq!(self.client.packet_or_end(), None, "a kick is the last thing a client gets");
    }
}

/// Bytes as a person reads them.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown = bytes.escape_ascii().to_string();
    if shown.len() > 2000 { format!("{} bytes {}..", bytes.len(), &shown[..200]) } else { shown }
}
