//! What an app is made of, and what it says when it cannot be made or started.

use crate::log::Log;
use crate::support::{connect, serve};
use pitaya_runtime::prelude::*;
use pitaya_runtime::{Problem, StartError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[derive(Default)]
struct Counter {
    total: AtomicU64,
}

#[handler(codec(Json, Protobuf))]
impl Counter {
    pub fn add(&self, raw: Raw) -> Raw {
        let total = self.total.fetch_add(raw.0.len() as u64, Relaxed) + raw.0.len() as u64;
        Raw::from(total.to_string())
    }
}

/// Exposes a route that [`Counter`] has too.
struct Other;

#[handler(name = "counter", codec(Json, Protobuf))]
impl Other {
    pub fn add(&self, raw: Raw) -> Raw {
        raw
    }
}

struct JsonOnly;

#[handler]
impl JsonOnly {
    pub fn hello(&self) -> &'static str {
        "hello"
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let error = Builder::new("two words")
        .configure(|config| config.heartbeat.interval = Duration::from_millis(500))
        .serializer::<Protobuf>()
        .acceptor(Tcp::bind("127.0.0.1:0").tls("/nowhere/server.crt", "/nowhere/server.key"))
        .handlers(Counter::default())
        .handlers(Other)
        .handlers(JsonOnly)
        .dictionary([("a", 0)])
        .build()
        .expect_err("nothing fits");
    let text = error.to_string();
    assert!(text.starts_with("the app cannot be built, for 6 reasons:"), "{text}");
    let kinds: Vec<_> = error.problems().iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 6);
    for part in [
        "`two words` cannot be a server type",
        "pitaya.heartbeat.interval",
        "tls://127.0.0.1:0: the certificate file /nowhere/server.crt cannot be read",
        "the route `two words.counter.add` is exposed twice",
        "`JsonOnly`",
        "speaks json, the app speaks protobuf",
        "code 0",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let twice = text.lines().find(|line| line.contains("twice")).expect("a line");
    assert_eq!(twice.matches("building.rs:").count(), 2, "both places are named: {twice}");
}

#[test]
fn an_app_that_nobody_can_reach_is_refused() {
    let error = Builder::new("game").handlers(JsonOnly).build().expect_err("no acceptor");
    assert!(matches!(error.problems(), [Problem::NoAcceptor]), "{error}");
    assert!(error.to_string().contains(".acceptor("), "{error}");
}

#[tokio::test]
async fn a_busy_port_is_named_and_nothing_has_begun() {
    struct Starts(Log);
    #[handler]
    impl Starts {
        #[on(init)]
        fn init(&self) {
            self.0.push("init");
        }
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let log = Log::default();
    let app = Builder::new("game").acceptor(Tcp::bind(&address)).handlers(Starts(log.clone())).build().expect("valid");
    let error = app.start().await.expect_err("the port is taken");
    assert!(matches!(&error, StartError::Bind { acceptor, .. } if *acceptor == format!("tcp://{address}")));
    assert!(error.to_string().contains(&address) && error.to_string().contains("another program"), "{error}");
    assert_eq!(log.all(), [""; 0]);
    assert!(matches!(app.start().await, Err(StartError::Again)));
    app.stopped().await;
}

#[tokio::test]
async fn an_address_that_is_none_is_told_with_the_form_of_one() {
    for (address, advice) in [
        ("tcp://127.0.0.1:0", "without a scheme"),
        ("127.0.0.1", "host:port"),
        ("[::1]", "host:port"),
        ("127.0.0.1:http", "host:port"),
        ("127.0.0.1:65536", "host:port"),
    ] {
        let app = Builder::new("game").acceptor(Tcp::bind(address)).handlers(JsonOnly).build().expect("valid");
        let error = app.start().await.expect_err(address).to_string();
        assert!(error.contains(address) && error.contains(advice), "{error}");
    }
}

#[tokio::test]
async fn a_component_that_cannot_start_is_named_and_the_app_does_not() {
    struct Fails;
    #[handler]
    impl Fails {
        #[on(init)]
        fn init(&self) -> Result<()> {
            Err(Error::new("GAME-1", "no table"))
        }
    }
    let app = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).handlers(Fails).build().expect("valid");
    let error = app.start().await.expect_err("it fails").to_string();
    assert!(error.contains("Fails") && error.contains("no table"), "{error}");
    assert_eq!(app.addresses(), []);
    app.stopped().await;
}

#[tokio::test]
async fn a_value_the_app_was_not_given_is_an_answer_that_names_its_type() {
    struct World(u64);
    struct Room;
    #[handler]
    impl Room {
        pub fn seed(&self, cx: &Context) -> Result<u64> {
            Ok(cx.state::<World>()?.0)
        }
    }
    let app = serve(Builder::new("game").handlers(Room)).await;
    let error = connect(&app).await.request_raw("game.room.seed", "").await.expect_err("no world");
    assert_eq!(error.code(), Some("PIT-500"));
    assert!(error.to_string().contains("World") && error.to_string().contains("Builder::state"), "{error}");
    let app = serve(Builder::new("game").handlers(Room).state(World(7))).await;
    assert_eq!(connect(&app).await.request_raw("game.room.seed", "").await.expect("given"), "7");
}

#[tokio::test]
async fn two_components_of_one_type_are_told_apart_by_their_names() {
    let builder = Builder::new("game").handlers_as("left", Counter::default()).handlers_as("right", Counter::default());
    let app = serve(builder).await;
    let client = connect(&app).await;
    assert_eq!(client.request_raw("game.left.add", "123").await.expect("served"), "3");
    assert_eq!(client.request_raw("game.right.add", "12").await.expect("served"), "2");
    assert_eq!(client.request_raw("left.add", "1").await.expect("served"), "4");
    let bad = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).handlers_as("a.b", JsonOnly);
    assert!(bad.build().expect_err("a bad name").to_string().contains("`a.b` cannot be the name"));
}

#[tokio::test]
async fn the_app_keeps_a_handle_to_a_shared_component() {
    let counter = Arc::new(Counter::default());
    let app = serve(Builder::new("game").shared_handlers(counter.clone())).await;
    connect(&app).await.request_raw("game.counter.add", "12345").await.expect("served");
    assert_eq!(counter.total.load(Relaxed), 5);
}

/// Tries to connect while the app is still being initialised.
struct Early {
    address: std::net::SocketAddr,
    refused: Arc<AtomicBool>,
}

#[handler]
impl Early {
    #[on(after_init)]
    async fn knock(&self) {
        let knock = tokio::net::TcpStream::connect(self.address).await;
        self.refused.store(knock.is_err(), Relaxed);
    }
}

/// The port is taken from the beginning, and open only when every component is ready.
#[tokio::test]
async fn nobody_gets_in_before_the_app_is_ready() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let refused = Arc::new(AtomicBool::new(false));
    let builder = Builder::new("game").handlers(Early { address, refused: refused.clone() });
    let app = builder.acceptor(Tcp::bind(address.to_string())).build().expect("valid");
    app.start().await.expect("started");
    assert!(refused.load(Relaxed), "a client could connect during after_init");
    connect(&app).await;
    app.shutdown().await;
}
