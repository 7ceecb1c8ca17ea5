//! Who a client is: ids, uids, data.

use crate::log::Log;
use crate::raw::RawClient;
use crate::support::{SOON, address, connect, eventually, serve};
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::task::JoinSet;
use tokio::time::timeout;

struct Hall;

#[handler]
impl Hall {
    pub async fn enter(&self, session: &Session, uid: String) -> Result<i64> {
        session.bind(&uid).await?;
        Ok(session.id())
    }

    pub fn me(&self, session: &Session) -> (i64, Option<String>) {
        (session.id(), session.uid().map(|uid| uid.to_string()))
    }

    pub fn keep(&self, session: &Session, gold: i64) -> Result<()> {
        session.data().set("gold", gold)
    }

    pub fn kept(&self, session: &Session) -> Result<i64> {
        Ok(session.data().get("gold")?.unwrap_or(0))
    }

    pub fn age(&self, session: &Session) -> Option<u64> {
        session.handshake()?.user.get("age")?.as_u64()
    }

    pub fn home(&self, session: &Session) -> Option<String> {
        session.remote_addr().map(|address| address.to_string())
    }
}

async fn me(client: &Client) -> (i64, Option<String>) {
    client.request_json("game.hall.me", &()).await.expect("an answer")
}

async fn enter(client: &Client, uid: &str) -> Result<i64, pitaya_client::RequestError> {
    client.request_json("game.hall.enter", uid).await
}

async fn refused(client: &Client, uid: &str) -> (String, String) {
    let error = enter(client, uid).await.expect_err("refused");
    (error.code().expect("the server's error").to_owned(), error.to_string())
}

#[tokio::test]
async fn ids_rise_and_none_is_used_again() {
    let app = serve(Builder::new("game").handlers(Hall)).await;
    let clients = [connect(&app).await, connect(&app).await, connect(&app).await];
    for (client, id) in clients.iter().zip(1..) {
        assert_eq!(me(client).await, (id, None));
    }
    clients[2].close().await;
    eventually("the last one is gone", || app.sessions().count() == 2).await;
    assert_eq!(me(&connect(&app).await).await.0, 4);
}

#[tokio::test]
async fn a_bound_session_is_found_by_its_uid_and_by_its_id() {
    let app = serve(Builder::new("game").handlers(Hall)).await;
    let client = connect(&app).await;
    assert_eq!(app.sessions().bound(), 0);
    let id = enter(&client, "ann").await.expect("bound");
    assert_eq!(me(&client).await, (id, Some("ann".to_owned())));
    let session = app.sessions().by_uid("ann").expect("found");
    assert_eq!(app.sessions().get(id), Some(session.clone()));
    assert_eq!((session.id(), session.uid().as_deref()), (id, Some("ann")));
    assert_eq!((app.sessions().count(), app.sessions().bound()), (1, 1));
    client.close().await;
    eventually("it is gone", || app.sessions().get(id).is_none() && app.sessions().by_uid("ann").is_none()).await;
    // Whoever kept a handle still reads who it was.
    assert_eq!(session.uid().as_deref(), Some("ann"));
}

#[tokio::test]
async fn a_session_is_bound_once_and_to_a_legal_uid_only() {
    let app = serve(Builder::new("game").handlers(Hall)).await;
    let client = connect(&app).await;
    assert_eq!(refused(&client, "").await, ("PIT-000".to_owned(), "PIT-000: illegal uid".to_owned()));
    for illegal in ["a b", "a..b", "foo.*.bar", "*", "a.>", "a\n", &"x".repeat(129)] {
        assert_eq!(refused(&client, illegal).await.0, "PIT-400", "{illegal:?}");
    }
    let (code, text) = refused(&client, "zo\u{200b}e").await;
    assert!(code == "PIT-400" && text.contains("U+200B") && text.contains("pitaya.session.bind.invisible"), "{text}");
    assert_eq!(me(&client).await.1, None);
    enter(&client, &"x".repeat(128)).await.expect("a legal one");
    let (code, text) = refused(&client, "other").await;
    assert_eq!((&*code, &*text), ("PIT-000", "PIT-000: session is already bound to an uid"));
    assert!(app.sessions().by_uid("other").is_none());
}

#[tokio::test]
async fn characters_that_nobody_sees_are_allowed_by_a_key() {
    let app = serve(Builder::new("game").configure(|c| c.session.bind.invisible = true).handlers(Hall)).await;
    let client = connect(&app).await;
    // A word of Persian needs the joiner between its parts.
    let uid = "می\u{200c}خواهم";
    enter(&client, uid).await.expect("allowed");
    assert!(app.sessions().by_uid(uid).is_some());
    let other = connect(&app).await;
    assert_eq!(refused(&other, "a b").await.0, "PIT-400", "blanks stay what they are");
}

#[tokio::test]
async fn a_refused_bind_leaves_the_session_unbound() {
    let no = |what: &'static str| move |_| async move { Err(Error::new("GAME-1", what)) };
    let before = Builder::new("game").on_session_bind(|session| async move {
        // The callback already sees who it would be.
        if session.uid().as_deref() == Some("ann") { Ok(()) } else { Err(Error::new("GAME-1", "not you")) }
    });
    let app = serve(before.handlers(Hall)).await;
    let client = connect(&app).await;
    assert_eq!(refused(&client, "bob").await.0, "GAME-1");
    assert_eq!((me(&client).await.1, app.sessions().bound()), (None, 0));
    enter(&client, "ann").await.expect("allowed");

    let app = serve(Builder::new("game").after_session_bind(no("too late")).handlers(Hall)).await;
    let client = connect(&app).await;
    let (code, text) = refused(&client, "ann").await;
    assert!(code == "GAME-1" && text.contains("too late"));
    assert_eq!((me(&client).await.1, app.sessions().bound()), (None, 0));
    assert!(app.sessions().by_uid("ann").is_none());
}

#[tokio::test]
async fn bind_callbacks_run_in_order_around_the_bind() {
    let log = Log::default();
    let (a, b, c) = (log.clone(), log.clone(), log.clone());
    let sees = |app: &App| app.sessions().by_uid("ann").is_some();
    let cell: Arc<std::sync::OnceLock<App>> = Arc::default();
    let (seen_before, seen_after) = (cell.clone(), cell.clone());
    let builder = Builder::new("game")
        .on_session_bind(move |_| {
            a.push(format!("before {}", sees(seen_before.get().expect("started"))));
            async { Ok(()) }
        })
        .on_session_bind(move |_| {
            b.push("before again");
            async { Ok(()) }
        })
        .after_session_bind(move |_| {
            c.push(format!("after {}", sees(seen_after.get().expect("started"))));
            async { Ok(()) }
        });
    let app = serve(builder.handlers(Hall)).await;
    cell.set(app.clone()).expect("once");
    enter(&connect(&app).await, "ann").await.expect("bound");
    assert_eq!(log.all(), ["before false", "before again", "after true"]);
}

#[tokio::test]
async fn a_newer_session_takes_the_uid_over_and_keeps_it() {
    let app = serve(Builder::new("game").handlers(Hall)).await;
    let (old, new) = (connect(&app).await, connect(&app).await);
    enter(&old, "ann").await.expect("bound");
    let id = enter(&new, "ann").await.expect("bound");
    let end = timeout(SOON, old.closed()).await.expect("the older one is closed");
    assert_eq!(end.kick_reason(), Some(KickReason::replaced()), "{end}");
    eventually("the older one is counted", || app.counts().closed("replaced") == 1).await;
    assert_eq!(app.sessions().by_uid("ann").map(|session| session.id()), Some(id));
    assert_eq!((app.sessions().count(), app.sessions().bound()), (1, 1));
    assert_eq!(me(&new).await, (id, Some("ann".to_owned())));
}

#[tokio::test]
async fn data_keep_whole_numbers_whole() {
    let app = serve(Builder::new("game").handlers(Hall)).await;
    let client = connect(&app).await;
    for gold in [9_007_199_254_740_993_i64, i64::MIN, i64::MAX] {
        let () = client.request_json::<Value>("game.hall.keep", &gold).await.map(drop).expect("kept");
        assert_eq!(client.request_json::<i64>("game.hall.kept", &()).await.expect("read"), gold);
    }
    let other = connect(&app).await;
    assert_eq!(other.request_json::<i64>("game.hall.kept", &()).await.expect("read"), 0, "data are a session's own");
}

#[tokio::test]
async fn what_a_client_says_in_the_handshake_is_at_hand() {
    let app = serve(Builder::new("game").handlers(Hall)).await;
    let client = Client::options().user("age", 30).platform("mac").connect(&address(&app)).await.expect("accepted");
    assert_eq!(client.request_json::<u64>("game.hall.age", &()).await.expect("told"), 30);
    let session = &app.sessions().all()[0];
    assert_eq!(session.handshake().expect("shaken").sys.platform, "mac");
}

#[tokio::test]
async fn a_session_knows_where_it_comes_from() {
    let app = serve(Builder::new("game").handlers(Hall)).await;
    let mut client = RawClient::open(&app).await;
    let home = json!(client.stream.local_addr().expect("bound").to_string()).to_string();
    assert_eq!(client.ask(1, "game.hall.home", "").await, crate::raw::answer(1, &home));
}

/// However sessions come and go, each is closed once and none is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_exact_after_2000_comings_and_goings() {
    let told = Arc::new(AtomicU64::new(0));
    let heard = told.clone();
    let builder = Builder::new("game").handlers(Hall).on_session_closed(move |_, _| {
        heard.fetch_add(1, Relaxed);
    });
    let app = serve(builder).await;
    const ROUNDS: u64 = 2_000;
    let mut running = JoinSet::new();
    for round in 0..ROUNDS {
        if running.len() >= 64 {
            running.join_next().await.expect("one runs").expect("no panic");
        }
        let app = app.clone();
        running.spawn(async move {
            if round % 5 == 0 {
                // Never gets through the handshake.
                drop(RawClient::welcomed(&app, "{}").await);
                return;
            }
            let client = connect(&app).await;
            // 50 uids: many are taken over, some while they are being closed.
            let bound = enter(&client, &format!("u{}", round % 50)).await;
            match round % 5 {
                1 => client.close().await,
                2 => drop(client),
                3 => drop(app.kick(&[format!("u{}", round % 50)])),
                _ => {
                    let session = bound.ok().and_then(|id| app.sessions().get(id));
                    session.inspect(Session::close);
                }
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.expect("no panic");
    }
    eventually("none is left", || app.sessions().count() == 0).await;
    assert_eq!((app.sessions().bound(), app.sessions().all().len()), (0, 0));
    let counts = app.counts();
    assert_eq!((counts.accepted, counts.closed.iter().sum::<u64>()), (ROUNDS, ROUNDS), "{counts:?}");
    // All had said something: a welcome is an answer to it.
    eventually("the app was told of each", || told.load(Relaxed) == ROUNDS).await;
}
