//! Gates around acceptors: Go's rate limit, and one's own.

use crate::support::{Game, browser, eventually, player, start};
use parking_lot::Mutex;
use pitaya_core::wire::{Packet, PacketKind};
use pitaya_runtime::accept::{Acceptor, Gate, RateLimit, Verdict};
use pitaya_runtime::prelude::*;
use pitaya_tests::client::{Client, Heard};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ECHO: &str = "game.room.echo";

/// Over TCP and over WebSocket.
async fn limited(configure: impl Fn(&mut Config)) -> Vec<(App, Client)> {
    let builder = || Builder::new("game").handlers(Game).configure(&configure);
    let tcp = start(builder().acceptor(Tcp::bind("127.0.0.1:0").wrap(RateLimit::default()))).await;
    let web = start(builder().acceptor(WebSocket::bind("127.0.0.1:0").wrap(RateLimit::default()))).await;
    let (a, b) = (player(&tcp, "127.0.0.1", &[]).await, browser(&web, "127.0.0.1", &[], "").await);
    vec![(tcp, a), (web, b)]
}

/// The timing of Go's own test, with room for a busy machine.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_limit_is_dropped_and_later_it_is_not() {
    let interval = Duration::from_millis(1_500);
    let clients = limited(|config| {
        config.conn.ratelimiting.limit = 1;
        config.conn.ratelimiting.interval = interval;
    });
    for (app, mut client) in clients.await {
        let began = Instant::now();
        client.send_request(1, ECHO, b"1");
        client.send_request(2, ECHO, b"2");
        client.notify(ECHO, b"3");
        client.send_packet(PacketKind::Heartbeat, b"");
        assert_eq!(client.message().id, 1);
        eventually("two are dropped", || app.counts().exceeded_rate_limiting == 2).await;
        assert!(began.elapsed() < interval, "too slow a machine for this test");
        tokio::time::sleep(interval).await;
        assert_eq!(client.request(4, ECHO, b"4").text(), "4");
        assert_eq!((app.counts().exceeded_rate_limiting, app.sessions().count()), (2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_key_requests_over_the_limit_are_answered() {
    let clients = limited(|config| {
        config.conn.ratelimiting.limit = 2;
        config.conn.ratelimiting.interval = Duration::from_secs(3600);
        config.conn.ratelimiting.answer = true;
    });
    for (app, mut client) in clients.await {
        client.notify(ECHO, b"1");
        assert_eq!(client.request(2, ECHO, b"2").text(), "2");
        client.notify(ECHO, b"3");
        for id in 4..100 {
            let answer = client.request(id, ECHO, b"4");
            assert!(answer.error && answer.json()["code"] == "PIT-429", "{answer:?}");
        }
        assert_eq!((app.counts().exceeded_rate_limiting, app.counts().error_answers), (97, 96));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_switched_off() {
    let clients = limited(|config| {
        config.conn.ratelimiting.limit = 1;
        config.conn.ratelimiting.forcedisable = true;
    });
    for (app, mut client) in clients.await {
        for id in 1..50 {
            assert_eq!(client.request(id, ECHO, b"x").text(), "x");
        }
        assert_eq!(app.counts().exceeded_rate_limiting, 0);
    }
}

/// Tells what it sees, and keeps back bodies that have a word in them.
struct Censor {
    name: &'static str,
    word: &'static [u8],
    verdict: Verdict,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Gate for Censor {
    fn packet(&mut self, packet: &Packet<'_>, _: Instant) -> Verdict {
        if packet.kind == PacketKind::Data {
            self.seen.lock().push(self.name.to_owned());
        }
        let found = self.word.is_empty() || packet.body.windows(self.word.len()).any(|part| part == self.word);
        if found { self.verdict.clone() } else { Verdict::Pass }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_of_ones_own_are_asked_from_the_inside_out() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let censor = |name, word: &'static [u8], verdict: Verdict| {
        let seen = seen.clone();
        move |_: SocketAddr| Censor { name, word, verdict: verdict.clone(), seen: seen.clone() }
    };
    let own = Verdict::Answer(Error::new("GAME-7", "not that word"));
    let acceptor =
        Tcp::bind("127.0.0.1:0").wrap(censor("inner", b"bad", own)).wrap(censor("outer", b"gone", Verdict::Drop));
    let app = start(Builder::new("game").acceptor(acceptor).handlers(Game)).await;
    let mut client = player(&app, "127.0.0.1", &[]).await;
    let order = || std::mem::take(&mut *seen.lock());

    assert_eq!(client.request(1, ECHO, b"fine").text(), "fine");
    assert_eq!(order(), ["inner", "outer"]);
    assert_eq!(client.request(2, ECHO, b"bad").json()["code"], "GAME-7");
    assert_eq!(order(), ["inner"], "what is kept back nobody sees");
    client.send_request(3, ECHO, b"gone");
    client.notify(ECHO, b"bad");
    assert_eq!(client.request(4, ECHO, b"fine").text(), "fine");
    assert_eq!(order(), ["inner", "outer", "inner", "inner", "outer"]);
    assert_eq!(app.counts().exceeded_rate_limiting, 3);
    assert_eq!(client.next(Duration::from_millis(20)), Heard::Nothing);
}

/// The packet that opens a session can be kept back too: the client then has none.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_sees_every_packet() {
    let deaf = |_: SocketAddr| Censor { name: "deaf", word: b"", verdict: Verdict::Drop, seen: Arc::default() };
    let acceptor = Tcp::bind("127.0.0.1:0").wrap(deaf);
    let builder = Builder::new("game").acceptor(acceptor).handlers(Game);
    let app = start(builder.configure(|config| config.limits.handshake.timeout = Duration::from_millis(200))).await;
    let mut client = Client::tcp(app.addresses()[0]);
    client.send_packet(PacketKind::Handshake, b"{}");
    client.assert_closed();
    eventually("it ran out of time", || app.counts().closed("handshake_timeout") == 1).await;
}

/// A message that cannot be forwarded yet is looked at again later, and not by the gate.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_has_to_wait_is_asked_about_once() {
    let cluster = LocalCluster::default();
    let backend = start(Builder::new("game").local_cluster(&cluster).handlers(Game)).await;
    let acceptor = Tcp::bind("127.0.0.1:0").wrap(RateLimit::default());
    let connector = Builder::new("connector").acceptor(acceptor).local_cluster(&cluster).configure(|config| {
        config.limits.inflight = 2;
        config.conn.ratelimiting.limit = 5;
        config.conn.ratelimiting.interval = Duration::from_secs(3600);
        config.conn.ratelimiting.answer = true;
    });
    let connector = start(connector).await;
    let mut client = player(&connector, "127.0.0.1", &[]).await;
    for id in 1..=20 {
        client.send_request(id, ECHO, b"x");
    }
    let mut refused: Vec<_> = (1..=20).map(|_| client.message()).map(|answer| (answer.id, answer.error)).collect();
    refused.sort_unstable();
    assert!(refused.iter().all(|(id, error)| *error == (*id > 5)), "{refused:?}");
    assert_eq!(connector.counts().exceeded_rate_limiting, 15);
    // Counted once for all that came together, when they are through.
    eventually("five were received", || backend.counts().received == 5).await;
}
