//! A frontend listens for a user exactly as long as a session of that user is here.

use crate::game::Room;
use crate::world::{connect, eventually};
use parking_lot::Mutex;
use pitaya_core::BoxFuture;
use pitaya_runtime::cluster::{
    Callee, Discovery, DiscoveryError, Forwarder, Login, OutgoingCall, Registrar, ServerInfo, Sink, Transport,
};
use pitaya_runtime::config::Secret;
use pitaya_runtime::prelude::*;
use pitaya_tests::capture::Capture;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::Semaphore;

/// Reaches nobody, and counts who is listened for.
#[derive(Clone)]
struct Ear(Arc<Heard>);

struct Heard {
    users: Mutex<HashMap<String, i32>>,
    begun: AtomicUsize,
    gate: Semaphore,
}

impl Ear {
    fn with_permits(permits: usize) -> Self {
        Self(Arc::new(Heard { users: Mutex::default(), begun: AtomicUsize::new(0), gate: Semaphore::new(permits) }))
    }

    fn hears(&self, uid: &str) -> i32 {
        self.0.users.lock().get(uid).copied().unwrap_or(0)
    }
}

fn nobody<T>() -> Result<T> {
    Err(Error::new("PIT-503", "nobody is there"))
}

fn done<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Transport for Ear {
    fn start(&self, _: Arc<ServerInfo>, _: Arc<dyn Callee>) -> BoxFuture<'_, Result<()>> {
        done(Ok(()))
    }
    fn stop_taking(&self) -> BoxFuture<'_, ()> {
        done(())
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        done(())
    }
    fn is_connected(&self) -> bool {
        true
    }
    fn call(&self, _: &Arc<ServerInfo>, _: OutgoingCall) -> BoxFuture<'_, Result<bytes::Bytes>> {
        done(nobody())
    }
    fn open(&self, _: Arc<dyn Sink>) -> Arc<dyn Forwarder> {
        unreachable!("no other server is known")
    }
    fn push(&self, _: &str, _: &str, _: &str, _: &[u8]) -> Result<()> {
        nobody()
    }
    fn kick(&self, _: &str, _: &str, _: Option<&KickReason>) -> Result<()> {
        nobody()
    }
    fn listen<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.0.begun.fetch_add(1, SeqCst);
            self.0.gate.acquire().await?.forget();
            *self.0.users.lock().entry(uid.to_owned()).or_default() += 1;
            Ok(())
        })
    }
    fn ignore(&self, uid: &str) {
        *self.0.users.lock().entry(uid.to_owned()).or_default() -= 1;
    }
    fn tell_bound(&self, _: &Login) -> Result<()> {
        Ok(())
    }
}

impl Discovery for Ear {
    fn watch(&self, _: Arc<dyn Registrar>) -> BoxFuture<'_, std::result::Result<(), DiscoveryError>> {
        done(Ok(()))
    }
    fn announce(&self, _: ServerInfo) -> BoxFuture<'_, std::result::Result<(), DiscoveryError>> {
        done(Ok(()))
    }
    fn withdraw(&self) -> BoxFuture<'_, ()> {
        done(())
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        done(())
    }
    fn is_connected(&self) -> bool {
        true
    }
}

async fn frontend(ear: &Ear, with: impl FnOnce(Builder) -> Builder) -> App {
    let builder = with(Builder::new("connector")).cluster(ear.clone(), ear.clone()).handlers(Room::default());
    let app = builder.acceptor(Tcp::bind("127.0.0.1:0")).build().expect("valid");
    app.start().await.expect("it starts");
    app
}

/// Whoever sets keys believes that messages are signed.
#[tokio::test]
async fn keys_for_a_transport_that_does_not_sign_are_warned_of() {
    let (log, _guard) = Capture::filtered("warn");
    for keys in ["", "a key that every server of the cluster knows"] {
        let ear = Ear::with_permits(0);
        let with = |config: &mut Config| config.cluster.rpc.authentication.keys = Secret::new(keys);
        frontend(&ear, |builder| builder.configure(with)).await.shutdown().await;
        let warned = log.lines("pitaya.cluster.rpc.authentication is set, but the app's transport does not sign");
        assert_eq!(warned.len(), usize::from(!keys.is_empty()), "{}", log.text());
    }
}

#[tokio::test]
async fn a_user_with_a_new_session_is_listened_for_once_and_then_not_at_all() {
    let ear = Ear::with_permits(100);
    let app = frontend(&ear, |b| b).await;
    let clients = [connect(&app).await, connect(&app).await, connect(&app).await];
    for client in &clients {
        client.request_raw("connector.room.bind", "ann").await.expect("bound");
    }
    eventually("the older ones are gone", || app.sessions().count() == 1).await;
    assert_eq!(ear.hears("ann"), 1);
    drop(clients);
    eventually("the last one is gone", || app.sessions().count() == 0).await;
    eventually("nobody is listened for", || ear.hears("ann") == 0).await;
}

#[tokio::test]
async fn a_session_that_ends_while_it_is_bound_leaves_nothing() {
    let ear = Ear::with_permits(0);
    let ended = Arc::new(AtomicUsize::new(0));
    let (closed, bound) = (ended.clone(), ended.clone());
    let app = frontend(&ear, |b| {
        b.on_session_closed(move |_, _| {
            closed.store(1, SeqCst);
        })
        .after_session_bind(move |_| {
            bound.store(2, SeqCst);
            async { Ok(()) }
        })
    })
    .await;
    let client = connect(&app).await;
    let asking = tokio::spawn(async move { client.request_raw("connector.room.bind", "ann").await });
    eventually("it is being bound", || ear.0.begun.load(SeqCst) == 1).await;
    asking.abort();
    let _ = asking.await;
    eventually("it is gone", || app.sessions().count() == 0 && ended.load(SeqCst) == 1).await;
    ear.0.gate.add_permits(1);
    eventually("it was listened for", || ear.0.users.lock().contains_key("ann")).await;
    eventually("nobody is listened for", || ear.hears("ann") == 0).await;
    app.shutdown().await;
    assert_eq!((ended.load(SeqCst), ear.hears("ann")), (1, 0), "bound after its end");
}

#[tokio::test]
async fn a_binding_that_is_taken_back_is_not_listened_for() {
    let ear = Ear::with_permits(100);
    let refuse = |session: Session| async move {
        if session.uid().as_deref() == Some("no") { Err(Error::new("APP-1", "no")) } else { Ok(()) }
    };
    let app = frontend(&ear, |b| b.after_session_bind(refuse)).await;
    let client = connect(&app).await;
    for _ in 0..3 {
        client.request_raw("connector.room.bind", "no").await.expect_err("refused");
        assert_eq!((ear.hears("no"), app.sessions().bound()), (0, 0));
    }
    client.request_raw("connector.room.bind", "ann").await.expect("bound");
    assert_eq!(ear.hears("ann"), 1);
    client.close().await;
    eventually("nobody is listened for", || ear.hears("ann") == 0).await;
}
