//! What an application may bring itself: a codec, and a way for clients to come in.

use crate::raw::RawClient;
use crate::support::{SOON, connect, eventually, serve};
use pitaya_client::{Client, CloseReason as ClientClosed};
use pitaya_core::wire::Message;
use pitaya_runtime::accept::{Acceptor, Established, Plain};
use pitaya_runtime::prelude::*;
use pitaya_runtime::{Codec, SerdeCodec};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// JSON in capitals, and errors of its own.
struct Loud;

impl Codec for Loud {
    const NAME: &'static str = "loud";

    fn encode_error(error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("!{} {}", error.code(), error.message()).as_bytes());
    }
}

impl SerdeCodec for Loud {
    fn from_slice<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
        Json::from_slice(&body.to_ascii_lowercase())
    }

    fn to_vec<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        let at = out.len();
        Json::to_vec(value, out)?;
        out[at..].make_ascii_uppercase();
        Ok(())
    }
}

struct Room;

#[handler(codec(Json, Loud))]
impl Room {
    pub fn greet(&self, session: &Session, name: String) -> Result<String> {
        session.push_as::<(Json, Loud), _>("onGreet", &name)?;
        if name == "nobody" { Err(Error::new("GAME-1", "who?")) } else { Ok(format!("hello {name}")) }
    }
}

#[tokio::test]
async fn a_codec_of_ones_own_reads_and_writes_everything() {
    let app = serve(Builder::new("game").serializer::<Loud>().handlers(Room)).await;
    let client = connect(&app).await;
    assert_eq!(client.handshake().serializer, "loud");
    let mut pushes = client.pushes();
    assert_eq!(client.request_raw("game.room.greet", "\"ANN\"").await.expect("served"), "\"HELLO ANN\"");
    assert_eq!(timeout(SOON, pushes.recv()).await.expect("in time").expect("open").body, "\"ANN\"");
    // Errors of the handler, of the codec and of the framework.
    let mut raw = RawClient::open(&app).await;
    let asked = [("greet", "\"NOBODY\"", "!GAME-1 who?"), ("greet", "7", "!PIT-400 "), ("none", "", "!PIT-404 ")];
    for (method, body, expected) in asked {
        raw.send(&crate::raw::request(1, &format!("game.room.{method}"), body)).await;
        let error = loop {
            let (_, packet) = raw.packet().await.expect("open");
            let message = Message::decode(&packet).expect("a message");
            if message.error {
                break String::from_utf8(message.body.to_vec()).expect("a text");
            }
        };
        assert!(error.starts_with(expected), "{error}");
    }
}

/// Clients come in through a channel.
struct Memory(Mutex<Option<mpsc::Receiver<DuplexStream>>>);

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

impl Acceptor for Memory {
    type Listener = mpsc::Receiver<DuplexStream>;
    type Raw = DuplexStream;
    type Stream = DuplexStream;
    type Framing = Plain;

    fn protocol(&self) -> &'static str {
        "memory"
    }

    fn configured(&self) -> String {
        "here".to_owned()
    }

    async fn bind(&self) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = self.0.lock().expect("not poisoned").take();
        Ok((listener.ok_or(io::ErrorKind::AddrInUse)?, NOWHERE))
    }

    async fn accept(&self, listener: &mut Self::Listener) -> io::Result<(DuplexStream, SocketAddr)> {
        match listener.recv().await {
            Some(stream) => Ok((stream, NOWHERE)),
            None => std::future::pending().await,
        }
    }

    async fn establish(
        &self,
        raw: DuplexStream,
        remote: SocketAddr,
    ) -> io::Result<Option<Established<DuplexStream, Plain>>> {
        Ok(Some(Established::new(raw, Plain, remote)))
    }
}

#[tokio::test]
async fn an_acceptor_of_ones_own_leads_to_the_same_components() {
    let (dial, listener) = mpsc::channel(4);
    let memory = Memory(Mutex::new(Some(listener)));
    let app = serve(Builder::new("game").acceptor(memory).handlers(Room)).await;
    assert_eq!(app.addresses()[0], NOWHERE);
    let mut clients = Vec::new();
    for n in 0..3 {
        // The smallest of them takes a packet apart again and again.
        let (ours, theirs) = duplex(7 * (n + 1));
        dial.send(theirs).await.expect("listening");
        clients.push(Client::options().over(ours).await.expect("accepted"));
    }
    for client in &clients {
        let answer: String = client.request_json("game.room.greet", "ann").await.expect("served");
        assert_eq!(answer, "hello ann");
    }
    assert_eq!(app.sessions().all().iter().filter_map(Session::remote_addr).collect::<Vec<_>>(), [NOWHERE; 3]);
    clients[0].close().await;
    eventually("it has left", || app.sessions().count() == 2).await;
    app.shutdown().await;
    let end = timeout(SOON, clients[1].closed()).await.expect("closed");
    assert!(matches!(end, ClientClosed::ServerClosed), "{end}");
}
