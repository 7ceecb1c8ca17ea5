//! Players who leave at once, at the example with rooms on a backend.

use crate::world::SOON;
use pitaya_client::Client;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer as Nats;
use pitaya_tests::{PATIENCE, binary};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

/// Starts the example with these flags, and gives what it says when it is ready.
async fn start(nats: &Nats, etcd: &Etcd, flags: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, String) {
    let mut command = Command::new(binary::example("cluster"));
    command.args(flags).args(["--nats", &nats.url(), "--etcd", &format!("http://{}", etcd.endpoint())]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the example can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.expect("UTF-8") {
            if let Some(ready) = line.strip_prefix("cluster: ") {
                return ready.to_owned();
            }
        }
        panic!("{flags:?} ended")
    };
    let ready = timeout(PATIENCE, ready).await.expect("it gets ready");
    (child, lines, ready)
}

/// The end of a session may overtake its message at the backend. The example's rooms have no member then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_who_leave_while_they_join_leave_no_room_behind() {
    let (nats, etcd) = (Nats::start(&[]), Etcd::start());
    let _room = start(&nats, &etcd, &["--role", "room"]).await;
    let (_connector, _lines, open) = start(&nats, &etcd, &["--role", "connector", "--port", "0"]).await;
    let address = format!("ws://{}", open.trim_start_matches("open http://"));
    let stays = Client::connect(&address).await.expect("the frontend accepts");
    let rooms = async || stays.request_json::<Value>("chat.room.rooms", &()).await;
    let since = Instant::now();
    while rooms().await.is_err() {
        assert!(since.elapsed() < SOON, "the frontend finds the room");
        sleep(Duration::from_millis(20)).await;
    }
    let players = if crate::world::long() { 1_000 } else { 200 };
    for n in 0..players {
        let client = Client::connect(&address).await.expect("the frontend accepts");
        let join = json!({"name": format!("n{n}"), "room": format!("ghost-{n}")});
        // Given up, and the connection with it, at any moment of the join.
        let _ =
            timeout(Duration::from_micros(n % 16 * 250), client.request_json::<Value>("chat.room.join", &join)).await;
        drop(client);
    }
    let since = Instant::now();
    loop {
        let rooms = rooms().await.expect("an answer");
        if rooms["rooms"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        assert!(since.elapsed() < SOON, "nobody is there, and yet: {rooms}");
        sleep(Duration::from_millis(20)).await;
    }
}
