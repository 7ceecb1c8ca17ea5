//! What a client is sent unasked, and where it stands among the answers.

use crate::raw::{RawClient, Said, answer, push};
use crate::support::{SOON, connect, eventually, serve};
use pitaya_runtime::PushError;
use pitaya_runtime::prelude::*;
use serde_json::json;

struct Desk;

#[handler]
impl Desk {
    pub async fn enter(&self, session: &Session, uid: String) -> Result<()> {
        session.bind(&uid).await
    }

    pub fn tell(&self, session: &Session) -> Result<&'static str> {
        session.push("onJson", &json!({"n": 1}))?;
        session.push_raw("onRaw", b"bytes")?;
        Ok("told")
    }

    pub async fn tell_late(&self, session: &Session) -> Result<&'static str> {
        session.push("onFirst", &1)?;
        tokio::task::yield_now().await;
        session.push("onSecond", &2)?;
        Ok("told")
    }

    pub fn kick(&self, session: &Session) -> Result<()> {
        session.push("onEnd", &"soon")?;
        session.kick()
    }

    pub async fn kick_with(&self, session: &Session) -> Result<()> {
        session.push("onEnd", &"soon")?;
        session.kick_with(&KickReason::new("BAN-1", "banned").with_data(&json!({"days": 3}))?)?;
        tokio::task::yield_now().await;
        assert_eq!(session.push("onMore", &1).expect_err("it has ended").code(), "PIT-499");
        assert_eq!(session.kick().expect_err("it has ended").code(), "PIT-499");
        Ok(())
    }

    pub fn close(&self, session: &Session) -> Result<&'static str> {
        session.push("onEnd", &"soon")?;
        session.close();
        session.close();
        Ok("closed")
    }

    pub async fn close_late(&self, session: &Session) -> Result<&'static str> {
        tokio::task::yield_now().await;
        self.close(session)
    }
}

#[tokio::test]
async fn what_a_handler_pushes_comes_before_its_answer() {
    let app = serve(Builder::new("game").handlers(Desk)).await;
    let mut client = RawClient::open(&app).await;
    assert_eq!(client.ask(1, "game.desk.tell", "").await, push("onJson", r#"{"n":1}"#));
    assert_eq!(client.hear().await, push("onRaw", "bytes"));
    assert_eq!(client.hear().await, answer(1, r#""told""#));
    assert_eq!(client.ask(2, "game.desk.tell_late", "").await, push("onFirst", "1"));
    assert_eq!(client.hear().await, push("onSecond", "2"));
    assert_eq!(client.hear().await, answer(2, r#""told""#));
}

#[tokio::test]
async fn nothing_can_be_sent_to_a_session_that_is_gone() {
    let app = serve(Builder::new("game").handlers(Desk)).await;
    let client = connect(&app).await;
    let session = app.sessions().all().remove(0);
    assert!(session.push("onHello", &1).is_ok());
    client.close().await;
    eventually("it is closed", || session.is_closed()).await;
    for outcome in [session.push("onHello", &1), session.push_raw("onHello", b""), session.kick()] {
        assert_eq!(outcome.expect_err("gone").code(), "PIT-499");
    }
    assert_eq!(session.bind("ann").await.expect_err("gone").code(), "PIT-499");
    assert_eq!(app.sessions().bound(), 0);
}

#[tokio::test]
async fn a_kick_is_the_last_thing_and_the_answer_after_it_is_dropped_and_counted() {
    let app = serve(Builder::new("game").handlers(Desk)).await;
    let reason = r#"{"code":"BAN-1","data":{"days":3},"message":"banned"}"#;
    for (route, body, number) in [("game.desk.kick", "", 1), ("game.desk.kick_with", reason, 2)] {
        let mut client = RawClient::open(&app).await;
        assert_eq!(client.ask(1, route, "").await, push("onEnd", r#""soon""#));
        assert_eq!(client.rest().await, [Said::Kick(body.to_owned())]);
        eventually("it is counted", || app.counts().closed("kicked") == number).await;
        eventually("the answer is counted", || app.counts().late_answers == number).await;
    }
    assert_eq!(app.counts().panics, 0);
}

#[tokio::test]
async fn closing_flushes_what_was_queued_and_the_answer() {
    let app = serve(Builder::new("game").handlers(Desk)).await;
    for route in ["game.desk.close", "game.desk.close_late"] {
        let mut client = RawClient::open(&app).await;
        assert_eq!(client.ask(1, route, "").await, push("onEnd", r#""soon""#));
        assert_eq!(client.rest().await, [answer(1, r#""closed""#)]);
    }
    assert_eq!((app.counts().closed("server"), app.counts().late_answers), (2, 0));
}

#[tokio::test]
async fn a_kick_from_elsewhere_comes_behind_what_was_pushed_before() {
    let app = serve(Builder::new("game").handlers(Desk)).await;
    let mut client = RawClient::open(&app).await;
    assert_eq!(client.ask(1, "game.desk.enter", r#""ann""#).await, answer(1, "{}"));
    for n in 0..100 {
        app.push("onTick", &n, &["ann"]).expect("here");
    }
    app.kick(&["ann"]).expect("here");
    let mut expected: Vec<_> = (0..100).map(|n| push("onTick", &n.to_string())).collect();
    expected.push(Said::Kick(String::new()));
    assert_eq!(client.rest().await, expected);
}

#[tokio::test]
async fn an_end_does_not_wait_for_a_client_that_does_not_read() {
    let unhurried = |config: &mut Config| {
        config.buffer.agent.conntimeout = SOON * 6;
        config.limits.outbox = "64MiB".parse().expect("a size");
        config.handler.messages.compression = false;
    };
    for label in ["kicked", "server"] {
        let app = serve(Builder::new("game").handlers(Desk).configure(unhurried)).await;
        let mut client = RawClient::open(&app).await;
        assert!(matches!(client.ask(1, "game.desk.enter", r#""ann""#).await, Said::Answer(..)));
        let session = app.sessions().by_uid("ann").expect("bound");
        // More than the system buffers for both ends.
        let filler = vec![0; 1_000_000];
        for _ in 0..20 {
            session.push_raw("onFiller", &filler).expect("it may wait");
            tokio::task::yield_now().await;
        }
        match label {
            "kicked" => session.kick().expect("here"),
            _ => session.close(),
        }
        eventually("the session is closed", || app.counts().closed(label) == 1).await;
        // And what was owed to the client is still there for it.
        let said = client.rest().await;
        assert_eq!(said.len(), 20 + usize::from(label == "kicked"));
    }
}

#[tokio::test]
async fn a_push_to_users_names_those_it_did_not_reach() {
    let app = serve(Builder::new("game").handlers(Desk)).await;
    let client = connect(&app).await;
    client.request_json::<serde_json::Value>("game.desk.enter", "ann").await.expect("bound");
    let mut pushes = client.pushes();
    for unreached in [app.push("onHello", &1, &["bob", "ann", "cid"]), app.kick(&["bob", "cid"])] {
        let Err(PushError::Unreached(uids)) = unreached else { panic!("{unreached:?}") };
        assert_eq!(uids, ["bob", "cid"]);
    }
    assert_eq!(pushes.recv().await.expect("open").json::<u8>().expect("a number"), 1);
    assert!(app.push("onHello", &2, &["ann"]).is_ok());
    assert_eq!(pushes.recv().await.expect("open").json::<u8>().expect("a number"), 2);
}
