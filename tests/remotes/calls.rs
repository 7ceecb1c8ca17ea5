//! What a caller sees.

use crate::support::{server, shown};
use pitaya_runtime::prelude::*;
use pitaya_runtime::remote::RpcCall;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// One number.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Number {
    #[prost(uint32, tag = "1")]
    n: u32,
}

/// One text.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

/// Tells when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[derive(Clone)]
pub struct Room {
    id: &'static str,
    counted: Arc<AtomicU32>,
    heard: Arc<Notify>,
    dropped: Arc<Notify>,
    gate: Arc<Semaphore>,
}

impl Room {
    fn new(id: &'static str) -> Self {
        let (heard, dropped) = (Arc::default(), Arc::default());
        Self { id, counted: Arc::default(), heard, dropped, gate: Arc::new(Semaphore::new(0)) }
    }
}

#[handler]
impl Room {
    pub async fn relay(&self, rpc: &Rpc, n: u32) -> Result<u32> {
        Ok(RoomClient::new(rpc, "room").double(&Number { n }).await?.n)
    }
}

#[remote]
impl Room {
    /// Twice as much.
    pub async fn double(&self, number: Number) -> Result<Number> {
        tokio::task::yield_now().await;
        Ok(Number { n: number.n * 2 })
    }

    /// Not async, and without an argument.
    pub fn who(&self) -> Result<Text> {
        Ok(text(self.id))
    }

    /// Always fails.
    pub async fn fail(&self, _: Number) -> Result<Number> {
        Err(Error::new("ROOM-7", "no").with("seat", "12"))
    }

    /// Fails with an error that has no code.
    pub fn plain_error(&self) -> Result<Number, std::fmt::Error> {
        Err(std::fmt::Error)
    }

    pub fn panic_now(&self) -> Result<Number> {
        panic!("now")
    }

    pub async fn panic_later(&self) -> Result<Number> {
        tokio::task::yield_now().await;
        panic!("later")
    }

    /// Never answers.
    pub async fn stuck(&self) -> Result<Number> {
        let _dropped = Dropped(self.dropped.clone());
        std::future::pending().await
    }

    /// Waits until it is let through.
    pub async fn wait(&self) -> Result<()> {
        self.heard.notify_one();
        self.gate.acquire().await.map_err(|e| Error::internal(e.to_string()))?.forget();
        Ok(())
    }

    /// Nobody waits.
    pub async fn count(&self, number: Number) {
        self.counted.fetch_add(number.n, SeqCst);
        self.heard.notify_one();
    }

    #[route(notify)]
    pub fn count_or_fail(&self, number: Number) -> Result<()> {
        self.counted.fetch_add(number.n, SeqCst);
        self.heard.notify_one();
        Err(Error::new("ROOM-8", "nobody hears this"))
    }

    /// What surrounds the call.
    pub async fn surroundings(&self, cx: &RemoteContext, app: &App, seed: &Seed) -> Result<Text> {
        let caller = cx.caller().map_or("", |peer| &peer.kind);
        let waits = cx.deadline().is_some();
        let trace = cx.metadata().get("trace").and_then(|trace| trace.as_str()).unwrap_or_default();
        Ok(text(format!("{} from {caller} at {} {waits} {trace} {}", cx.route(), app.server_type(), seed.0)))
    }

    /// Calls on: what came with the call goes with it.
    pub async fn hop(&self, rpc: &Rpc) -> Result<Text> {
        RoomClient::new(rpc, "room").surroundings().await
    }

    /// Calls on, and would wait for ever.
    pub async fn hop_stuck(&self, rpc: &Rpc) -> Result<Number> {
        RoomClient::new(rpc, "room").within(Duration::MAX).stuck().await
    }
}

pub struct Seed(u32);

impl FromContext<RemoteContext> for Seed {
    fn from_context(cx: &RemoteContext) -> Result<&Self> {
        cx.state()
    }
}

/// A room called "one", and a game that calls it.
async fn two() -> (Room, App, RoomClient) {
    let cluster = LocalCluster::default();
    let room = Room::new("one");
    server(&cluster, Builder::new("room").server_id("one").remotes(room.clone()).state(Seed(5))).await;
    let game = server(&cluster, Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0"))).await;
    let client = RoomClient::new(game.rpc(), "room");
    (room, game, client)
}

#[tokio::test]
async fn an_answer_comes_back() {
    let (_, _game, client) = two().await;
    assert_eq!(client.double(&Number { n: 21 }).await, Ok(Number { n: 42 }));
    assert_eq!(client.who().await, Ok(text("one")));
    let trace = RoomClient::new(&_game.rpc().with("trace", "t1"), "room");
    assert_eq!(trace.surroundings().await, Ok(text("room.surroundings from game at room true t1 5")));
    assert_eq!(trace.hop().await, Ok(text("room.surroundings from room at room true t1 5")));
}

#[tokio::test]
async fn an_error_keeps_its_code_its_text_and_its_metadata() {
    let (_, game, client) = two().await;
    assert_eq!(shown(client.fail(&Number { n: 1 }).await), "ROOM-7: no seat=12");
    assert_eq!(shown(client.plain_error().await), format!("PIT-000: {}", std::fmt::Error));
    let other = game.rpc().any::<(Protobuf,)>("room").empty("room.gone").request::<Number>().await;
    assert_eq!(shown(other), "PIT-404: route not found route=room.gone");
    let garbage = RpcCall::new(pitaya_runtime::remote::Target::Server("one".into()), "room.double");
    let garbage = game.rpc().call({
        let mut call = garbage;
        call.body = vec![0xff].into();
        call
    });
    assert!(shown(garbage.await).starts_with("PIT-400: "));
    let wrong = game.rpc().any::<(Json,)>("room").empty("room.who").request::<u32>().await;
    assert!(shown(wrong).starts_with("PIT-500: the answer of room.who cannot be read: "));
}

#[tokio::test]
async fn a_panic_is_an_error_and_no_more() {
    let (_, _, client) = two().await;
    assert_eq!(shown(client.panic_now().await), "PIT-500: internal error");
    assert_eq!(shown(client.panic_later().await), "PIT-500: internal error");
    assert_eq!(client.who().await, Ok(text("one")));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_the_deadline() {
    let (room, game, client) = two().await;
    let start = tokio::time::Instant::now();
    let late = shown(client.within(Duration::from_millis(250)).stuck().await);
    assert_eq!(late, "PIT-408: rpc client: request timeout route=room.room.stuck timeout=250ms");
    assert_eq!(start.elapsed(), Duration::from_millis(250));
    room.dropped.notified().await; // the callee has not gone on either
    assert!(shown(client.stuck().await).ends_with(" timeout=5s"));
    assert_eq!(start.elapsed(), Duration::from_millis(5250), "the setting's five seconds");
    room.dropped.notified().await;
    // A remote's own calls wait no longer than its caller does.
    assert!(shown(client.within(Duration::from_secs(1)).hop_stuck().await).starts_with("PIT-408"));
    assert_eq!(start.elapsed(), Duration::from_millis(6250));
    room.dropped.notified().await;
    drop(game);
}

#[tokio::test]
async fn a_server_is_chosen_by_type_or_by_id() {
    let cluster = LocalCluster::default();
    for id in ["one", "two", "three"] {
        server(&cluster, Builder::new("room").server_id(id).remotes(Room::new(id)).state(Seed(1))).await;
    }
    let app = server(&cluster, Builder::new("room").server_id("four").remotes(Room::new("four"))).await;
    let client = RoomClient::new(app.rpc(), "room");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        seen.insert(client.who().await.expect("an answer").text);
    }
    assert_eq!(seen.len(), 4, "each of them by chance, the own server too: {seen:?}");
    for id in ["two", "four", "two"] {
        assert_eq!(client.on(id).who().await, Ok(text(id)));
    }
    assert_eq!(shown(client.on("five").who().await), "PIT-000: server not found");
    let nobody = RoomClient::new(app.rpc(), "hall");
    assert_eq!(shown(nobody.who().await), "PIT-500: no servers available of this type");
}

#[tokio::test]
async fn who_has_gone_is_not_called_and_a_call_in_work_is_finished() {
    let cluster = LocalCluster::default();
    let room = Room::new("one");
    let callee = server(&cluster, Builder::new("room").remotes(room.clone())).await;
    let caller = server(&cluster, Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0"))).await;
    let client = RoomClient::new(caller.rpc(), "room");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait().await }
    });
    room.heard.notified().await;
    let stopping = tokio::spawn({
        let callee = callee.clone();
        async move { callee.shutdown().await }
    });
    while client.who().await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(client.who().await), "PIT-500: no servers available of this type");
    room.gate.add_permits(1);
    assert_eq!(waiting.await.expect("no panic"), Ok(()));
    stopping.await.expect("no panic");
}

#[tokio::test]
async fn a_notify_is_on_its_way_and_no_more() {
    let (room, _, client) = two().await;
    assert_eq!(client.count(&Number { n: 3 }).await, Ok(()));
    room.heard.notified().await;
    assert_eq!(client.count_or_fail(&Number { n: 4 }).await, Ok(()));
    room.heard.notified().await;
    assert_eq!(room.counted.load(SeqCst), 7);
}

#[tokio::test]
async fn too_many_calls_are_refused_at_once() {
    let cluster = LocalCluster::default();
    let room = Room::new("one");
    let callee = Builder::new("room").configure(|config| config.limits.calls = 2).remotes(room.clone());
    let callee = server(&cluster, callee).await;
    let client = RoomClient::new(callee.rpc(), "room");
    let call = || {
        let client = client.clone();
        tokio::spawn(async move { client.wait().await })
    };
    let (first, second) = (call(), call());
    room.heard.notified().await;
    // The second is in work when its place is taken, which is before it is heard.
    while callee.counts().calls < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(client.who().await), "PIT-503: the server has too many calls in work");
    assert_eq!(callee.counts().refused_calls, 1);
    room.gate.add_permits(2);
    assert_eq!((first.await.expect("no panic"), second.await.expect("no panic")), (Ok(()), Ok(())));
    assert_eq!(client.who().await, Ok(text("one")));
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    item: String,
    count: u32,
}

pub struct Shop;

/// In JSON, under other names, and with another stub.
#[remote(codec = Json, name = "store", rename_all = "camelCase", client = Store)]
impl Shop {
    pub async fn take_order(&self, order: Order) -> Result<Order> {
        Ok(Order { count: order.count + 1, ..order })
    }
    pub fn nothing(&self) -> Result<()> {
        Ok(())
    }
    pub fn maybe(&self, wanted: bool) -> Result<Option<u32>> {
        Ok(wanted.then_some(1))
    }
    #[route("new")]
    pub fn create(&self) -> Result<u32> {
        Ok(9)
    }
}

#[tokio::test]
async fn json_is_a_matter_of_the_block() {
    let cluster = LocalCluster::default();
    let shop = server(&cluster, Builder::new("shop").remotes(Shop)).await;
    let store = Store::new(shop.rpc(), "shop");
    let order = Order { item: "hat".to_owned(), count: 1 };
    assert_eq!(store.take_order(&order).await, Ok(Order { count: 2, ..order }));
    assert_eq!(store.nothing().await, Ok(()));
    assert_eq!(store.maybe(&true).await, Ok(Some(1)));
    assert_eq!(store.maybe(&false).await, Ok(None));
    assert_eq!(shop.rpc().server::<(Json,)>(shop.server_id()).empty("store.new").request().await, Ok(9));
}

#[tokio::test]
async fn one_instance_serves_clients_and_servers() {
    let cluster = LocalCluster::default();
    let room = Room::new("one");
    let app = Builder::new("room").acceptor(Tcp::bind("127.0.0.1:0")).component(room.clone()).state(Seed(1));
    let app = server(&cluster, app).await;
    let client = pitaya_client::Client::connect(&format!("tcp://{}", app.addresses()[0])).await.expect("it accepts");
    let answer: u32 = client.request_json("room.room.relay", &4).await.expect("an answer");
    assert_eq!(answer, 8);
    let hidden = client.request_json::<u32>("room.room.double", &4).await.expect_err("no route of clients");
    assert!(hidden.to_string().contains("PIT-404"), "{hidden}");
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let cluster = LocalCluster::default();
    let first = server(&cluster, Builder::new("room").server_id("one").remotes(Room::new("one"))).await;
    let second = Builder::new("room").server_id("one").remotes(Room::new("one")).local_cluster(&cluster);
    let error = second.build().expect("valid").start().await.expect_err("taken");
    let text = "a server with the id `one` is in the cluster already: give each its own with `.server_id(..)`";
    assert_eq!(error.to_string(), text);
    assert_eq!(first.server_id(), "one");
    let error = Builder::new("room").server_id("a.b").remotes(Room::new("one")).build().expect_err("no subject");
    assert!(error.to_string().contains("`a.b` cannot be a server id"), "{error}");
    let error = Builder::new("room").build().expect_err("nobody could call it");
    assert!(error.to_string().contains("there is no acceptor"), "{error}");
}

#[test]
fn calls_can_be_spawned() {
    fn spawned<T: Send + 'static>(_: impl Future<Output = T> + Send) {}
    let rpc = Rpc::new(Nowhere);
    let client = RoomClient::new(&rpc, "room");
    spawned(client.double(&Number { n: 1 }));
    spawned(client.who());
    spawned(client.count(&Number { n: 1 }));
    assert!(format!("{client:?}").contains("room"), "{client:?}");
}

struct Nowhere;

impl pitaya_runtime::remote::RpcClient for Nowhere {
    fn call(&self, _: RpcCall) -> pitaya_runtime::BoxFuture<'_, Result<bytes::Bytes>> {
        Box::pin(std::future::pending())
    }
}
