//! The client comes back to a server that was killed and started again.

use pitaya_client::{Client, CloseReason, ConnectionState, Reconnect, RequestError, StateChanges};
use pitaya_tests::PATIENCE;
use pitaya_tests::process::Conformance;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// A free port that stays free while its server is away: a system takes the ports it chooses itself from 32768 on.
fn port() -> u16 {
    let seed = RandomState::new().hash_one(()) as u16;
    let mut ports = (0..12_000_u16).map(|n| 20_000 + seed.wrapping_add(n) % 12_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

fn start(port: u16, ways: &str) -> Conformance {
    Conformance::launch(&["-standalone", "-port", &port.to_string(), "-ways", ways], &[])
}

async fn next(states: &mut StateChanges) -> ConnectionState {
    timeout(PATIENCE, states.next()).await.expect("a change in time").expect("it is not the end")
}

async fn back(states: &mut StateChanges) {
    loop {
        match next(states).await {
            ConnectionState::Connected => return,
            ConnectionState::Reconnecting { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn survives(scheme: &str, ways: &str) {
    let port = port();
    let mut server = start(port, ways);
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let login = move |client: Client| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { client.request_raw("connector.room.bindto", "ann").await.map(drop) }
    };
    let plan = Reconnect::default().backoff(Duration::from_millis(20), Duration::from_millis(200)).login(login);
    let client = Client::options().reconnect(plan).connect(&format!("{scheme}://127.0.0.1:{port}")).await.expect("up");
    let mut states = client.states();
    assert_eq!(client.request_raw("connector.room.echo", "one").await.expect("an answer"), "one");

    for round in 1..=2 {
        let waits = tokio::spawn({
            let client = client.clone();
            async move { client.request_raw("connector.room.sleep", "1h").await }
        });
        // Answered behind the request above, which is in flight then.
        assert_eq!(client.request_raw("connector.room.echo", "two").await.expect("an answer"), "two");
        server.signal("KILL");
        let lost = timeout(PATIENCE, waits).await.expect("told at the loss").expect("no panic");
        assert!(matches!(lost, Err(RequestError::Lost(CloseReason::ServerClosed | CloseReason::Io(_)))), "{lost:?}");
        server.ended();
        // Some attempts find nobody.
        while !matches!(next(&mut states).await, ConnectionState::Reconnecting { attempt: 2.., .. }) {}
        let unsent = client.request_raw("connector.room.echo", "three").await;
        assert!(matches!(unsent, Err(RequestError::NotConnected(_))), "{unsent:?}");

        server = start(port, ways);
        back(&mut states).await;
        assert_eq!(client.request_raw("connector.room.echo", "four").await.expect("an answer"), "four");
        assert_eq!(logins.load(Ordering::SeqCst), 1 + round);
        // The session is bound, as the login asked for.
        let again = client.request_raw("connector.room.bindto", "bob").await.expect_err("it has a uid");
        assert_eq!(again.code(), Some("ROOM-BIND"), "{again}");
    }

    let kicked = client.request_raw("connector.room.kickme", "").await;
    assert!(!matches!(kicked, Err(RequestError::Lost(_))), "{kicked:?}");
    let reason = timeout(PATIENCE, client.closed()).await.expect("a kick is the end");
    assert!(matches!(reason, CloseReason::Kicked { .. }), "{reason:?}");
    assert_eq!(logins.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn over_tcp() {
    survives("TCP", "tcp").await;
}

#[tokio::test]
async fn over_websocket() {
    survives("WS", "ws").await;
}
