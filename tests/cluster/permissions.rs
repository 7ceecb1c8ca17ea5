//! The permissions of the broker that `docs/security.md` gives: a game works with them, and another program can do nothing.

use crate::game::Room;
use crate::world::{connect, eventually, meet};
use parking_lot::Mutex;
use pitaya_runtime::config::Secret;
use pitaya_runtime::prelude::*;
use pitaya_tests::PATIENCE;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer as Nats;
use std::sync::Arc;
use tokio::time::timeout;

const PAGE: &str = include_str!("../../docs/security.md");

/// The configuration of the broker in the page.
fn configuration() -> &'static str {
    let (_, rest) = PAGE.split_once("```conf\n").expect("the page has it");
    rest.split_once("```").expect("it ends").0
}

struct Services {
    nats: Nats,
    etcd: Etcd,
    signed: bool,
}

impl Services {
    fn builder(&self, kind: &str, id: &str, password: &str) -> Builder {
        let auth = (id.to_owned(), Secret::new(password));
        Builder::new(kind).server_id(id).clustered().etcd_groups().handlers(Room::default()).configure(|config| {
            let nats = &mut config.cluster.rpc.client.nats;
            nats.connect = self.nats.url();
            (nats.auth.user, nats.auth.pass) = auth;
            config.cluster.sd.etcd.endpoints = vec![self.etcd.endpoint()];
            config.groups.etcd.endpoints = vec![self.etcd.endpoint()];
            if self.signed {
                config.cluster.rpc.authentication.keys = Secret::new("a key that every server of the cluster knows");
            }
            config.metrics.prometheus.enabled = true;
            config.metrics.prometheus.host = "127.0.0.1".to_owned();
            config.metrics.prometheus.port = 0;
        })
    }
}

async fn started(builder: Builder) -> App {
    let app = builder.build().expect("a valid app");
    app.start().await.expect("it starts");
    app
}

fn is_clean(app: &App) {
    let text = app.metrics().render();
    for name in ["broker_errors", "unsigned", "forged", "malformed", "timeouts", "lost"] {
        let zero = format!("pitaya_transport_{name}_total");
        let line = text.lines().find(|line| line.starts_with(&zero)).expect("it is counted");
        assert!(line.ends_with(" 0"), "{}: {line}", app.server_type());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_game_works_with_the_permissions_of_the_page_and_a_stranger_can_do_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nats.conf");
    std::fs::write(&file, configuration()).expect("written");
    for signed in [false, true] {
        let services =
            Services { nats: Nats::start(&["-c", &file.display().to_string()]), etcd: Etcd::start(), signed };
        let room = started(services.builder("room", "room-0", "change-me-3")).await;
        let frontend = |id, password| services.builder("connector", id, password).acceptor(Tcp::bind("127.0.0.1:0"));
        let one = started(frontend("connector-0", "change-me-1")).await;
        let two = started(frontend("connector-1", "change-me-2")).await;
        let all = [&room, &one, &two];
        meet(&all).await;

        // Clients' messages, and the backend's pushes and calls.
        let client = connect(&one).await;
        let mut pushes = client.on("onX");
        client.request_raw("room.room.bind", "ann").await.expect("bound");
        client.request_raw("room.room.set", r#"{"gold":7}"#).await.expect("set");
        for server in [&room, &two] {
            server.users("connector").push("onX", &1, &["ann"]).await.expect("pushed");
            assert_eq!(&pushes.recv().await.expect("open").body[..], b"1");
        }
        // Logins, and who holds what.
        let newer = connect(&two).await;
        newer.request_raw("room.room.bind", "ann").await.expect("bound");
        timeout(PATIENCE, client.closed()).await.expect("replaced");

        // Another program has the same broker.
        let errors = Arc::<Mutex<Vec<String>>>::default();
        let heard = errors.clone();
        let options =
            async_nats::ConnectOptions::with_user_and_password("website".to_owned(), "change-me-4".to_owned());
        let options = options.event_callback(move |event| {
            heard.lock().push(event.to_string());
            std::future::ready(())
        });
        let stranger = options.connect(services.nats.url()).await.expect("it may log in");
        let subjects = [
            "pitaya/servers/room/room-0",
            "pitaya/servers/room/room-0.lane",
            "pitaya/servers/connector/connector-1.calls",
            "pitaya/servers/connector/connector-1.token.0",
            "pitaya/connector/bindings",
            "pitaya/connector/user/ann/kick",
            "_INBOX.token.1",
        ];
        for subject in subjects {
            stranger.publish(subject, "x".into()).await.expect("the library takes it");
            stranger.flush().await.expect("sent");
        }
        let is_refused = |subject: &str| errors.lock().iter().any(|error| error.contains(subject));
        eventually("the broker refuses each", || subjects.iter().all(|subject| is_refused(subject))).await;
        let mut tap = stranger.subscribe("pitaya/servers/room/room-0.lane").await.expect("the library takes it");
        newer.request_raw("room.room.echo", "x").await.expect("it works as before");
        let heard = futures_util::FutureExt::now_or_never(futures_util::StreamExt::next(&mut tap)).flatten();
        assert!(heard.is_none());
        assert!(newer.close_reason().is_none());
        all.into_iter().for_each(is_clean);
        for app in [two, one, room] {
            app.shutdown().await;
        }
    }
}
