use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pitaya_client::{
    Client, CloseReason, ConnectError, ConnectOptions, ConnectionState, Dictionary, Reconnect, RequestError,
};
use pitaya_core::wire::{HandshakeReply, PacketKind, packet};
use tokio::net::{TcpListener, TcpStream};

use crate::peer::{Peer, json, terms};

/// A server at an address that clients can come back to.
struct Server(TcpListener);

impl Server {
    async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn address(&self) -> String {
        format!("tcp://{}", self.0.local_addr().unwrap())
    }

    /// The next connection, before its handshake.
    async fn connection(&self) -> Peer<TcpStream> {
        Peer::new(self.0.accept().await.unwrap().0)
    }

    /// The next connection, its handshake answered. The client may leave before it acknowledges that.
    async fn greet(&self) -> Peer<TcpStream> {
        let mut peer = self.connection().await;
        peer.expect(PacketKind::Handshake).await;
        peer.send(&terms("json", &Dictionary::default()).ok()).await;
        peer
    }

    /// The next connection, its handshake done.
    async fn accept(&self) -> Peer<TcpStream> {
        self.accept_with(&terms("json", &Dictionary::default())).await
    }

    async fn accept_with(&self, reply: &HandshakeReply<'_>) -> Peer<TcpStream> {
        let mut peer = self.connection().await;
        peer.accept(reply).await;
        peer
    }

    async fn connect(&self, plan: Reconnect) -> (Client, Peer<TcpStream>) {
        let (options, address) = (options(plan), self.address());
        let (client, peer) = tokio::join!(options.connect(&address), self.accept());
        (client.unwrap(), peer)
    }
}

/// Pauses that a test does not notice.
fn soon() -> Reconnect {
    Reconnect::default().backoff(Duration::from_millis(1), Duration::from_millis(2))
}

fn options(plan: Reconnect) -> ConnectOptions {
    Client::options().reconnect(plan)
}

#[tokio::test]
async fn a_request_in_flight_fails_at_the_loss_and_is_not_sent_again() {
    let server = Server::open().await;
    let first = Dictionary::new([("a.b".to_owned(), 1)]).unwrap();
    let (options, address) = (options(soon()), server.address());
    let reply = terms("json", &first);
    let (client, mut peer) = tokio::join!(options.connect(&address), server.accept_with(&reply));
    let client = client.unwrap();
    let (mut states, mut pushes) = (client.states(), client.pushes());

    let request = tokio::spawn({
        let client = client.clone();
        async move { client.request_raw("a.b", "once").await }
    });
    let message = peer.message().await;
    assert_eq!((message.id, &message.route, message.text()), (1, &Err(1), "once"));
    drop(peer);
    let answer = request.await.unwrap();
    assert!(matches!(&answer, Err(RequestError::Lost(CloseReason::ServerClosed))), "{answer:?}");
    assert!(answer.unwrap_err().to_string().contains("may have run"));

    // Nobody has accepted yet, so it is not connected yet.
    let state = states.next().await;
    assert!(
        matches!(&state, Some(ConnectionState::Reconnecting { attempt: 1, lost: CloseReason::ServerClosed })),
        "{state:?}"
    );
    for unsent in [client.request_raw("a.b", "").await.map(drop), client.notify_raw("a.b", "").await] {
        assert!(matches!(unsent, Err(RequestError::NotConnected(CloseReason::ServerClosed))), "{unsent:?}");
    }
    assert!(client.close_reason().is_none());

    // The new connection has ids and route codes of its own, and the old streams.
    let second = Dictionary::new([("a.b".to_owned(), 2)]).unwrap();
    let mut peer = server.accept_with(&terms("json", &second)).await;
    client.connected().await.unwrap();
    assert!(matches!(client.state(), ConnectionState::Connected));
    assert_eq!(client.handshake().dictionary, second);
    let server = async {
        let message = peer.message().await;
        assert_eq!((message.id, &message.route, message.text()), (1, &Err(2), "again"));
        peer.push("onMessage", "pushed").await;
        peer.respond(message.id, "answer").await;
    };
    let (answer, ()) = tokio::join!(client.request_raw("a.b", "again"), server);
    assert_eq!(answer.unwrap(), "answer");
    assert_eq!(pushes.recv().await.unwrap().body, "pushed");
    let state = states.next().await;
    assert!(matches!(state, Some(ConnectionState::Connected)), "{state:?}");

    let closing = async {
        client.close().await;
    };
    tokio::join!(closing, async { drop(peer) });
    assert!(matches!(states.next().await, Some(ConnectionState::Closed(CloseReason::Local))));
    assert!(states.next().await.is_none() && pushes.recv().await.is_none());
}

#[tokio::test]
async fn the_login_is_the_first_request_of_each_connection() {
    let server = Server::open().await;
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let plan = soon().login(move |client: Client| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            client.connected().await?;
            client.request_raw("login.enter", format!("token {number}")).await.map(drop)
        }
    });
    let (options, address) = (options(plan), server.address());
    let connecting = tokio::spawn(async move { options.connect(&address).await });
    let mut peer = server.accept().await;
    let message = peer.message().await;
    assert_eq!((message.route.as_deref(), message.text()), (Ok("login.enter"), "token 0"));
    assert!(!connecting.is_finished(), "connected is who is logged in");
    peer.respond(message.id, "").await;
    let client = connecting.await.unwrap().unwrap();

    drop(peer);
    let mut peer = server.accept().await;
    let message = peer.message().await;
    assert_eq!(message.text(), "token 1");
    // Others wait until it is done.
    let early = client.request_raw("a.b", "early").await;
    assert!(matches!(early, Err(RequestError::NotConnected(_))), "{early:?}");
    assert!(matches!(client.state(), ConnectionState::Reconnecting { attempt: 1, .. }));
    peer.respond(message.id, "").await;
    client.connected().await.unwrap();
    client.notify_raw("a.b", "logged in").await.unwrap();
    assert_eq!(peer.message().await.text(), "logged in");

    // A connection that is lost while the login waits is an attempt that failed.
    drop(peer);
    let mut peer = server.accept().await;
    assert_eq!(peer.message().await.text(), "token 2");
    drop(peer);
    let mut peer = server.accept().await;
    let message = peer.message().await;
    assert_eq!(message.text(), "token 3");
    peer.respond(message.id, "").await;
    client.connected().await.unwrap();
    assert_eq!(logins.load(Ordering::Relaxed), 4);

    // A refusal ends it.
    drop(peer);
    let mut peer = server.accept().await;
    let message = peer.message().await;
    peer.fail(message.id, r#"{"code":"GAME-1","msg":"the token is too old"}"#).await;
    let reason = client.closed().await;
    let CloseReason::NotRestored { lost, error, .. } = &reason else { panic!("{reason:?}") };
    assert!(matches!(**lost, CloseReason::ServerClosed) && matches!(**error, ConnectError::Login(_)), "{reason:?}");
    assert!(reason.to_string().contains("the token is too old"), "{reason}");
    assert!(matches!(client.request_raw("a.b", "").await, Err(RequestError::Closed(_))));
    assert!(client.connected().await.is_err());
}

#[tokio::test]
async fn a_first_login_that_is_refused_is_the_error_of_connect() {
    let server = Server::open().await;
    let (options, address) = (options(soon().login(async |_: Client| Err("not me"))), server.address());
    let (client, mut peer) = tokio::join!(options.connect(&address), server.accept());
    let error = client.unwrap_err();
    assert!(matches!(&error, ConnectError::Login(error) if error.to_string() == "not me"), "{error:?}");
    assert_eq!(peer.packet().await, None, "and it hangs up");
}

#[tokio::test]
async fn a_kick_is_final_unless_the_client_insists() {
    let server = Server::open().await;
    let (client, mut peer) = server.connect(soon()).await;
    peer.send(&packet::KICK).await;
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::Kicked { .. }), "{reason:?}");

    let (client, mut peer) = server.connect(soon().retry_kicks(true)).await;
    peer.send(&packet::KICK).await;
    // The first client has not come back, or it would be here.
    let mut peer = server.accept().await;
    client.connected().await.unwrap();
    client.notify_raw("a.b", "back").await.unwrap();
    assert_eq!(peer.message().await.text(), "back");
}

#[tokio::test]
async fn a_kick_before_the_handshake_is_a_kick() {
    let server = Server::open().await;
    let (client, peer) = server.connect(soon()).await;
    drop(peer);
    let mut peer = server.connection().await;
    peer.expect(PacketKind::Handshake).await;
    peer.send(&packet::KICK).await;
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::Kicked { .. }), "{reason:?}");
}

#[tokio::test]
async fn a_refused_handshake_is_final() {
    let server = Server::open().await;
    let (client, peer) = server.connect(soon()).await;
    drop(peer);
    let mut peer = server.connection().await;
    peer.expect(PacketKind::Handshake).await;
    peer.send(&json(PacketKind::Handshake, r#"{"code":400}"#)).await;
    let reason = client.closed().await;
    let CloseReason::NotRestored { attempts: 1, error, .. } = &reason else { panic!("{reason:?}") };
    assert!(matches!(**error, ConnectError::Refused { code: 400, .. }), "{reason:?}");
}

#[tokio::test]
async fn a_server_that_accepts_and_closes_is_not_hammered_for_ever() {
    let server = Server::open().await;
    // No connection here lives for so long, so all losses are one outage.
    let plan = Reconnect::default().backoff(Duration::from_millis(1), Duration::from_secs(3600)).attempts(3);
    let (client, peer) = server.connect(plan).await;
    drop(peer);
    for _ in 0..3 {
        drop(server.accept().await);
    }
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::ServerClosed), "{reason:?}");
}

#[tokio::test]
async fn attempts_are_counted_and_end() {
    let server = Server::open().await;
    let (client, peer) = server.connect(soon().attempts(3)).await;
    let mut states = client.states();
    // First nobody listens, then the connection ends.
    drop(server);
    drop(peer);
    let reason = client.closed().await;
    let CloseReason::NotRestored { attempts: 3, error, .. } = &reason else { panic!("{reason:?}") };
    assert!(matches!(**error, ConnectError::Io(_)), "{reason:?}");
    assert!(reason.to_string().contains("attempt 3"), "{reason}");
    assert!(matches!(states.next().await, Some(ConnectionState::Closed(_))));
}

#[tokio::test]
async fn the_deadline_ends_attempts() {
    let server = Server::open().await;
    let plan = Reconnect::default().backoff(Duration::from_secs(3600), Duration::from_secs(3600));
    let (client, peer) = server.connect(plan.deadline(Duration::from_millis(50))).await;
    drop(server);
    drop(peer);
    // The pause before the first attempt is cut at the deadline.
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::NotRestored { attempts: 1, .. }), "{reason:?}");
}

#[tokio::test]
async fn a_time_without_an_end_is_no_deadline() {
    for deadline in [Duration::MAX, Duration::from_secs(i64::MAX as u64), Duration::from_secs(u64::MAX / 2)] {
        let server = Server::open().await;
        let (client, peer) = server.connect(soon().deadline(deadline)).await;
        drop(peer);
        let mut peer = server.accept().await;
        client.connected().await.unwrap();
        client.notify_raw("a.b", "back").await.unwrap();
        assert_eq!(peer.message().await.text(), "back");
    }
    // Nor is a pause, or any other time: nothing comes of them but waiting.
    let server = Server::open().await;
    let plan = Reconnect::default().backoff(Duration::MAX, Duration::MAX).deadline(Duration::MAX);
    let options = options(plan).connect_timeout(Duration::MAX).request_timeout(Duration::MAX);
    let address = server.address();
    let (client, peer) = tokio::join!(options.connect(&address), server.accept());
    let client = client.unwrap();
    let mut states = client.states();
    drop(peer);
    let state = states.next().await;
    assert!(matches!(state, Some(ConnectionState::Reconnecting { attempt: 1, .. })), "{state:?}");
    client.close().await;
    assert!(matches!(client.close_reason(), Some(CloseReason::Local)));
}

/// A plan whose login with this number, from 0, panics: in its future, or before there is one.
fn panics_in(at: usize, inside: bool) -> Reconnect {
    let logins = AtomicUsize::new(0);
    soon().retry_refusals(true).login(move |_: Client| {
        let now = logins.fetch_add(1, Ordering::Relaxed) == at;
        assert!(!now || inside, "no token");
        async move {
            assert!(!now, "no token {}", 7);
            Ok::<(), String>(())
        }
    })
}

#[tokio::test]
async fn a_panic_of_the_login_is_told_and_final() {
    for (inside, text) in [(true, "the login panicked: no token 7"), (false, "the login panicked: no token")] {
        // The first login is the error of `connect`,
        let server = Server::open().await;
        let (options, address) = (options(panics_in(0, inside)), server.address());
        let (client, _peer) = tokio::join!(options.connect(&address), server.greet());
        let error = client.unwrap_err();
        assert!(matches!(&error, ConnectError::LoginPanicked(_)), "{error:?}");
        assert_eq!(error.to_string(), text);

        // and a later one the reason for the end of the client.
        let (client, peer) = server.connect(panics_in(1, inside)).await;
        drop(peer);
        let _peer = server.greet().await;
        let reason = client.closed().await;
        let CloseReason::NotRestored { attempts: 1, error, .. } = &reason else { panic!("{reason:?}") };
        assert_eq!(error.to_string(), text);
    }
}

#[tokio::test]
async fn closing_ends_it_while_it_reconnects() {
    let server = Server::open().await;
    let plan = Reconnect::default().backoff(Duration::from_secs(3600), Duration::from_secs(3600));
    let (client, peer) = server.connect(plan.clone()).await;
    drop(peer);
    let mut states = client.states();
    if matches!(client.state(), ConnectionState::Connected) {
        states.next().await;
    }
    client.close().await;
    assert!(matches!(client.close_reason(), Some(CloseReason::Local)));
    assert!(matches!(client.request_raw("a.b", "").await, Err(RequestError::Closed(CloseReason::Local))));

    // And so does the drop of the last handle.
    let (client, peer) = server.connect(plan).await;
    drop(peer);
    let (mut states, mut pushes) = (client.states(), client.pushes());
    if matches!(client.state(), ConnectionState::Connected) {
        states.next().await;
    }
    drop(client);
    assert!(matches!(states.next().await, Some(ConnectionState::Closed(CloseReason::Local))));
    assert!(pushes.recv().await.is_none());
}

#[tokio::test]
async fn a_stream_opened_elsewhere_cannot_be_restored_and_says_so() {
    let (mine, _theirs) = tokio::io::duplex(1 << 10);
    let error = options(soon()).over(mine).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotDialled) && error.to_string().contains("`reconnect`"), "{error}");
}
