//! What was recorded of real Go Pitaya servers: what clients said and were answered (`vectors/client.jsonl`), what the
//! servers said to each other (`nats.jsonl`), and what they left in etcd (`etcd.jsonl`).

use pitaya_core::wire::{Message, PacketKind, RouteRef, packet};
use serde_json::Value;

/// One answer, and the client that gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The client.
    pub client: String,
    /// What came.
    pub outcome: Outcome,
}

/// What a client was seen to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This packet.
    Packet(Vec<u8>),
    /// The end of the connection.
    Closed,
    /// Nothing for several seconds.
    Silence,
}

/// One thing a client sent, and everything that came back before the next one was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The client.
    pub client: String,
    /// Its bytes.
    pub sent: Vec<u8>,
    /// The recorder's words.
    pub note: String,
    /// In order.
    pub answers: Vec<Answer>,
}

impl Exchange {
    /// The route of the message that is sent, if it is one.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        let [kind, _, _, _, message @ ..] = &self.sent[..] else { return None };
        if *kind != PacketKind::Data as u8 {
            return None;
        }
        match Message::decode(message).ok()?.route? {
            RouteRef::Name(name) => std::str::from_utf8(name).ok(),
            RouteRef::Code(_) => None,
        }
    }

    /// The same message to another route.
    ///
    /// # Panics
    /// When it is no message.
    #[must_use]
    pub fn rerouted(&self, route: &str) -> Self {
        let message = Message::decode(&self.sent[packet::HEADER..]).expect("a recorded message");
        let mut sent = Vec::new();
        let at = packet::open(&mut sent, PacketKind::Data);
        Message { route: Some(route.into()), ..message }.encode(&mut sent).expect("a route that fits");
        packet::seal(&mut sent, at).expect("a message that fits");
        Self { sent, ..self.clone() }
    }
}

/// The exchanges of the cases whose name passes, in the order they were recorded.
///
/// # Panics
/// For a line that is not understood: a record that is passed over proves nothing.
pub fn exchanges(case: impl Fn(&str) -> bool) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in include_str!("../vectors/client.jsonl").lines() {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let (client, note) = (text("case"), text("note"));
        if !case(&client) {
            continue;
        }
        let bytes = unhex(&text("hex"));
        match &*text("dir") {
            "c>s" => exchanges.push(Exchange { client, sent: bytes, note, answers: Vec::new() }),
            "s>c" => {
                let outcome = match &*note {
                    _ if !bytes.is_empty() => Outcome::Packet(bytes),
                    note if note.contains("connection closed") || note.contains("connection reset") => Outcome::Closed,
                    note if note.contains("nothing within") => Outcome::Silence,
                    note => panic!("{client}: what does {note:?} say?"),
                };
                let exchange = exchanges.last_mut().unwrap_or_else(|| panic!("{client}: an answer to nothing"));
                exchange.answers.push(Answer { client, outcome });
            }
            "note" => {}
            other => panic!("{client}: what is {other:?}?"),
        }
    }
    exchanges
}

/// One message on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What went on meanwhile, after the `/`.
    pub case: String,
    /// Where it was published.
    pub subject: String,
    /// Where its answer is awaited, else empty.
    pub reply: String,
    /// What it says.
    pub payload: Vec<u8>,
}

/// What was on the bus while the cases of this family ran, in order: `conformance-json`, `conformance-protobuf` or
/// `session`.
///
/// # Panics
/// For a line that is not understood.
#[must_use]
pub fn frames(family: &str) -> Vec<Frame> {
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        let text = |key: &str| record[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}")).to_owned();
        let case = text("case").strip_prefix(family)?.strip_prefix('/')?.to_owned();
        assert_eq!(text("headers"), "", "Go's servers send no headers");
        Some(Frame { case, subject: text("subject"), reply: text("reply"), payload: unhex(&text("hex")) })
    };
    include_str!("../vectors/nats.jsonl").lines().filter_map(record).collect()
}

/// The records of the servers of a family: key without the prefix, and value.
///
/// # Panics
/// For a line that is not understood.
#[must_use]
pub fn servers(family: &str) -> Vec<(String, String)> {
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        let text = |key: &str| record[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}")).to_owned();
        (text("case") == family).then(|| (text("key"), text("value")))
    };
    include_str!("../vectors/etcd.jsonl").lines().filter_map(record).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits of a byte");
    (0..text.len()).step_by(2).map(digit).collect()
}
