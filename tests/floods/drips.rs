//! Packets after the login that do not come whole: their deadline, and those that keep it.

use crate::{alone, long};
use pitaya_core::wire::{MessageKind, PacketKind, packet};
use pitaya_runtime::prelude::*;
use pitaya_tests::PATIENCE;
use pitaya_tests::certificates::Pair;
use pitaya_tests::client::{Client, Heard};
use pitaya_tests::websocket::{BINARY, CONTINUATION, FIN, PONG, WebSocket as Upgraded};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// What a packet may take besides its length over the rate.
const TIME: Duration = Duration::from_secs(3);
/// Bytes a second.
const RATE: usize = 16 * 1024;
/// Between two drops.
const PAUSE: Duration = Duration::from_millis(50);

/// Ways to a server, by the places of its acceptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tcp,
    Tls,
    Ws,
}

use Way::{Tcp as OverTcp, Tls as OverTls, Ws as OverWs};

#[derive(Default)]
struct Room(Option<Arc<Semaphore>>);

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    pub async fn wait(&self, raw: Raw) -> Raw {
        if let Some(gate) = &self.0 {
            gate.acquire().await.expect("an open gate").forget();
        }
        raw
    }
}

/// Where to connect, and whom to believe.
#[derive(Clone)]
struct Place {
    addresses: Vec<SocketAddr>,
    certificate: CertificateDer<'static>,
}

async fn serve(room: Room) -> (App, Place) {
    let (folder, pair) = (tempfile::tempdir().expect("a directory"), Pair::localhost());
    let (certificate, key) = pair.write(folder.path());
    let at = "127.0.0.1:0";
    let app = Builder::new("game")
        .configure(|config| {
            config.limits.packet.timeout = TIME;
            config.limits.packet.rate = pitaya_runtime::config::ByteSize::new(RATE);
        })
        .acceptor(Tcp::bind(at))
        .acceptor(Tcp::bind(at).tls(certificate, key))
        .acceptor(WebSocket::bind(at))
        .handlers(room)
        .build()
        .expect("a valid app");
    app.start().await.expect("it starts");
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate");
    let place = Place { addresses: app.addresses().to_vec(), certificate };
    (app, place)
}

/// A client that is logged in, and sends bytes as they are.
struct Player {
    client: Client,
    /// Below the frames of a WebSocket.
    raw: Option<TcpStream>,
    way: Way,
}

impl Player {
    fn open(place: &Place, way: Way) -> Self {
        let address = place.addresses[way as usize];
        let (mut client, raw) = match way {
            OverTcp => (Client::tcp(address), None),
            OverTls => (Client::tls(address, place.certificate.clone()), None),
            OverWs => {
                let stream = TcpStream::connect(address).expect("accepted");
                let raw = stream.try_clone().expect("a second handle");
                (Client::over(Upgraded::over(stream, "/", "")), Some(raw))
            }
        };
        client.open();
        Self { client, raw, way }
    }

    fn send(&mut self, bytes: &[u8]) {
        match &mut self.raw {
            // Whoever is closed finds out when it reads.
            Some(raw) => drop(raw.write_all(bytes)),
            None => self.client.send(bytes),
        }
    }

    /// A request as it travels.
    fn request(&self, route: &str, body: &[u8]) -> Vec<u8> {
        let packet = crate::honest::message(MessageKind::Request, route, body);
        if self.way == OverWs { frame(FIN | BINARY, &packet) } else { packet }
    }

    fn answer(&mut self) -> Vec<u8> {
        self.client.message().body
    }
}

/// A frame whose mask changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}

/// What a client sends that never gets to the end of a packet.
struct Drip {
    way: Way,
    first: Vec<u8>,
    drop: Vec<u8>,
    /// The least time that it has.
    time: Duration,
}

fn drips() -> Vec<Drip> {
    let mut long = Vec::new();
    packet::encode(PacketKind::Data, &vec![0; RATE - packet::HEADER], &mut long).expect("it fits");
    let whole = TIME + Duration::from_secs(1);
    let drip = |way, first: &[u8], drop: &[u8], time| Drip { way, first: first.to_vec(), drop: drop.to_vec(), time };
    let fragment = frame(BINARY, &long[..RATE / 2]);
    let dripped = [frame(FIN | PONG, b"still here"), frame(CONTINUATION, b"x")].concat();
    vec![
        drip(OverTcp, &long[..RATE / 2], b"x", whole),
        drip(OverTcp, &long[..2], b"", TIME),
        drip(OverTls, &long[..RATE / 2], b"x", whole),
        drip(OverWs, &frame(FIN | BINARY, &long)[..RATE / 2], b"x", whole),
        drip(OverWs, &[FIN | BINARY], b"", TIME),
        drip(OverWs, &fragment, &dripped, TIME),
        drip(OverWs, &frame(BINARY, b""), &dripped, TIME),
    ]
}

impl Drip {
    /// Stays for as long as the server lets it.
    fn run(&self, place: &Place) {
        let mut player = Player::open(place, self.way);
        let begun = Instant::now();
        player.send(&self.first);
        loop {
            match player.client.next(PAUSE) {
                Heard::End => break,
                Heard::Nothing => player.send(&self.drop),
                Heard::Packet(_) => {}
            }
            assert!(begun.elapsed() < self.time + PATIENCE, "{:?}: not closed", self.way);
        }
        assert!(begun.elapsed() >= self.time, "{:?}: closed after {:?}", self.way, begun.elapsed());
    }
}

/// Sends one packet for longer than packets have without their length, and has it answered.
fn uploads(place: &Place, way: Way) {
    let mut player = Player::open(place, way);
    // No zlib makes it short.
    let body: Vec<u8> = (0..16 * RATE as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bytes = player.request("game.room.echo", &body);
    let parts = 16;
    for part in bytes.chunks(bytes.len().div_ceil(parts)) {
        player.send(part);
        thread::sleep(TIME * 5 / 4 / parts as u32);
    }
    assert!(player.answer() == body, "{way:?}: what comes back is what was sent");
}

/// Sends one packet after the other, of which one is always half there, for longer than one of them may take.
fn halves(place: &Place, way: Way) {
    let mut player = Player::open(place, way);
    let bytes = player.request("game.room.echo", b"some text");
    let (begin, end) = bytes.split_at(bytes.len() / 2);
    player.send(begin);
    let begun = Instant::now();
    while begun.elapsed() < TIME * 3 / 2 {
        player.send(&[end, begin].concat());
        assert_eq!(player.answer(), b"some text", "{way:?}");
        thread::sleep(PAUSE);
    }
}

/// A blocking client, in a thread of its own.
fn spawn(place: &Place, client: impl FnOnce(&Place) + Send + 'static) -> tokio::task::JoinHandle<()> {
    let place = place.clone();
    tokio::task::spawn_blocking(move || client(&place))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn a_packet_that_drips_ends_its_session_and_one_that_is_fast_enough_does_not() {
    let _alone = alone();
    let (app, place) = serve(Room::default()).await;
    let each = if long() { 40 } else { 3 };
    let mut clients = Vec::new();
    for _ in 0..each {
        clients.extend(drips().into_iter().map(|drip| spawn(&place, move |place| drip.run(place))));
    }
    let drips = clients.len() as u64;
    for way in [OverTcp, OverTls, OverWs] {
        clients.push(spawn(&place, move |place| uploads(place, way)));
        clients.push(spawn(&place, move |place| halves(place, way)));
    }
    for client in clients {
        client.await.expect("it behaves as it should");
    }
    assert_eq!(app.counts().closed("packet_timeout"), drips);
    // Over TLS without a word.
    let left = || app.counts().closed("client") + app.counts().closed("connection");
    let end = Instant::now() + PATIENCE;
    while left() < 6 && Instant::now() < end {
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(left(), 6, "the honest ones went by themselves");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn the_time_in_which_nothing_is_read_is_not_the_packets() {
    let _alone = alone();
    let gate = Arc::new(Semaphore::new(0));
    let (app, place) = serve(Room(Some(gate.clone()))).await;
    let client = spawn(&place, move |place| {
        let mut player = Player::open(place, OverTcp);
        let (call, last) = (player.request("game.room.wait", b"waited"), player.request("game.room.echo", b"last"));
        let note = crate::honest::message(MessageKind::Notify, "game.room.echo", b"");
        let (begin, end) = last.split_at(last.len() / 2);
        // As many as may wait, so that nothing is read, and half a packet behind them.
        player.send(&[&call, &*note.repeat(64), begin].concat());
        thread::sleep(TIME * 4 / 3);
        gate.add_permits(1);
        assert_eq!(player.answer(), b"waited");
        player.send(end);
        assert_eq!(player.answer(), b"last");
    });
    client.await.expect("it is served");
    assert_eq!(app.counts().closed("packet_timeout"), 0);
    app.shutdown().await;
}
