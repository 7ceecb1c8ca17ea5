//! The steps around a handler.

use crate::log::Log;
use crate::support::{connect, eventually, serve};
use bytes::Bytes;
use pitaya_client::Client;
use pitaya_core::BoxFuture;
use pitaya_runtime::pipeline::{BeforeRaw, Outcome};
use pitaya_runtime::prelude::*;
use std::any::Any;

struct Room {
    log: Log,
}

/// What a step left for the method.
struct Mark(&'static str);

#[handler]
impl Room {
    pub fn now(&self, cx: &Context, text: String) -> String {
        self.log.push(format!("method {text}"));
        cx.get::<Mark>().map_or(text, |mark| mark.0.to_owned())
    }

    pub async fn later(&self, cx: &Context, text: String) -> String {
        tokio::task::yield_now().await;
        self.now(cx, text)
    }

    #[route(notify)]
    pub fn note(&self, text: String) {
        self.log.push(format!("note {text}"));
    }

    pub fn fails(&self) -> Result<()> {
        Err(Error::new("GAME-1", "no"))
    }

    pub fn panics(&self) -> Result<()> {
        panic!("on purpose")
    }

    pub async fn panics_later(&self) -> Result<()> {
        tokio::task::yield_now().await;
        panic!("on purpose")
    }
}

/// A step on bytes: logs them, and gives whatever its function makes of them, a moment later.
struct Bytewise<F>(Log, F);

impl<F: Fn(&mut Context, Bytes) -> Result<Bytes> + Send + Sync + 'static> BeforeRaw for Bytewise<F> {
    fn before_raw<'a>(&'a self, cx: &'a mut Context, body: Bytes) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.push(format!("raw {}", String::from_utf8_lossy(&body)));
            (self.1)(cx, body)
        })
    }
}

fn unchanged(_: &mut Context, body: Bytes) -> Result<Bytes> {
    Ok(body)
}

fn before(log: &Log) -> impl Fn(&mut Context, &mut (dyn Any + Send)) -> Result<()> + use<> {
    let log = log.clone();
    move |_, payload| {
        log.push(format!("before {}", payload.downcast_ref::<String>().map_or("-", String::as_str)));
        Ok(())
    }
}

fn after(log: &Log) -> impl Fn(&Context, Outcome) -> Outcome + use<> {
    let log = log.clone();
    move |cx, outcome| {
        let text = match &outcome {
            Ok(body) => String::from_utf8_lossy(body).into_owned(),
            Err(error) => error.code().to_owned(),
        };
        log.push(format!("after {} {text}", cx.route()));
        outcome
    }
}

async fn ask(client: &Client, method: &str, body: &'static str) -> Result<String, String> {
    let answer = client.request_raw(&format!("game.room.{method}"), body).await;
    answer.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|e| e.code().expect("an answer").to_owned())
}

async fn room(log: &Log, builder: Builder) -> (App, Client) {
    let app = serve(builder.handlers(Room { log: log.clone() })).await;
    let client = connect(&app).await;
    (app, client)
}

#[tokio::test]
async fn bytes_then_payload_then_method_then_outcome() {
    for method in ["now", "later"] {
        let log = Log::default();
        let builder = Builder::new("game")
            .after(after(&log))
            .before(before(&log))
            .before_raw(Bytewise(log.clone(), |_: &mut Context, _| Ok(r#""b""#.into())))
            .before_raw(Bytewise(log.clone(), unchanged))
            .before(|_: &mut Context, payload: &mut (dyn Any + Send)| {
                let text = payload.downcast_mut::<String>().expect("a text");
                text.push('c');
                Ok(())
            });
        let (_app, client) = room(&log, builder).await;
        assert_eq!(ask(&client, method, r#""a""#).await.expect("an answer"), r#""bc""#);
        let route = format!(r#"after game.room.{method} "bc""#);
        assert_eq!(log.all(), [r#"raw "a""#, r#"raw "b""#, "before b", "method bc", &route]);
    }
}

#[tokio::test]
async fn a_notify_passes_the_same_steps() {
    let log = Log::default();
    let builder =
        Builder::new("game").before_raw(Bytewise(log.clone(), unchanged)).before(before(&log)).after(after(&log));
    let (_app, client) = room(&log, builder).await;
    client.notify_raw("game.room.note", r#""a""#).await.expect("sent");
    eventually("it has run", || log.len() == 4).await;
    assert_eq!(log.all(), [r#"raw "a""#, "before a", "note a", "after game.room.note "]);
}

#[tokio::test]
async fn a_refusing_step_ends_the_turn_with_its_code_and_the_steps_after_it_still_run() {
    let log = Log::default();
    let refuse = |_: &mut Context, _: &mut (dyn Any + Send)| Err(Error::new("GAME-2", "not now"));
    let (_app, client) = room(&log, Builder::new("game").before(refuse).before(before(&log)).after(after(&log))).await;
    for method in ["now", "later"] {
        assert_eq!(ask(&client, method, r#""a""#).await, Err("GAME-2".to_owned()));
    }
    assert_eq!(log.all(), ["after game.room.now GAME-2", "after game.room.later GAME-2"]);

    let log = Log::default();
    let builder = Builder::new("game")
        .before_raw(Bytewise(log.clone(), |_: &mut Context, _| Err(Error::new("GAME-3", "not these bytes"))))
        .before_raw(Bytewise(log.clone(), unchanged))
        .before(before(&log))
        .after(after(&log));
    let (_app, client) = room(&log, builder).await;
    assert_eq!(ask(&client, "now", r#""a""#).await, Err("GAME-3".to_owned()));
    assert_eq!(log.all(), [r#"raw "a""#, "after game.room.now GAME-3"]);
}

#[tokio::test]
async fn what_a_step_leaves_is_seen_by_later_steps_and_the_method_and_by_no_other_message() {
    let log = Log::default();
    let seen = log.clone();
    let mark = |cx: &mut Context, payload: &mut (dyn Any + Send)| {
        if payload.downcast_ref::<String>().is_some_and(|text| text == "mark") {
            cx.insert(Mark("marked"));
        }
        Ok(())
    };
    let look = move |cx: &Context, outcome: Outcome| {
        seen.push(format!("{} {:?}", cx.message_id(), cx.get::<Mark>().map(|mark| mark.0)));
        outcome
    };
    let (_app, client) = room(&log, Builder::new("game").before(mark).after(look)).await;
    for method in ["now", "later"] {
        assert_eq!(ask(&client, method, r#""mark""#).await.expect("an answer"), r#""marked""#);
        assert_eq!(ask(&client, method, r#""plain""#).await.expect("an answer"), r#""plain""#);
    }
    let after: Vec<_> = log.all().into_iter().filter(|line| !line.starts_with("method")).collect();
    assert_eq!(after, ["1 Some(\"marked\")", "2 None", "3 Some(\"marked\")", "4 None"]);
}

#[tokio::test]
async fn the_last_steps_turn_errors_into_answers_and_back() {
    let swap = |_: &Context, outcome: Outcome| match outcome {
        Ok(body) => Err(Error::new("GAME-4", String::from_utf8_lossy(&body).into_owned())),
        Err(error) => Ok(format!("was {}", error.code()).into_bytes()),
    };
    for raw in [false, true] {
        let log = Log::default();
        let mut builder = Builder::new("game").after(swap);
        if raw {
            builder = builder.before_raw(Bytewise(log.clone(), |_: &mut Context, body: Bytes| {
                assert_ne!(body, "bytes", "on purpose");
                Ok(body)
            }));
        }
        let (app, client) = room(&log, builder).await;
        for method in ["now", "later"] {
            assert_eq!(ask(&client, method, r#""a""#).await, Err("GAME-4".to_owned()));
            assert_eq!(ask(&client, method, "broken").await.as_deref(), Ok("was PIT-400"));
        }
        assert_eq!(ask(&client, "fails", "").await.as_deref(), Ok("was GAME-1"));
        for method in ["panics", "panics_later"] {
            assert_eq!(ask(&client, method, "").await.as_deref(), Ok("was PIT-500"), "{method}, raw: {raw}");
        }
        assert_eq!(app.counts().panics, 2);
        if raw {
            assert_eq!(ask(&client, "now", "bytes").await.as_deref(), Ok("was PIT-500"));
            assert_eq!(app.counts().panics, 3);
        }
    }
}

#[tokio::test]
async fn a_step_that_panics_is_an_answer_and_the_session_goes_on() {
    fn fragile(text: Option<&str>) {
        assert_ne!(text, Some("x"), "on purpose");
    }
    let steps: [fn(Builder) -> Builder; 4] = [
        |builder| {
            builder.before(|_: &mut Context, payload: &mut (dyn Any + Send)| {
                fragile(payload.downcast_ref::<String>().map(String::as_str));
                Ok(())
            })
        },
        |builder| {
            builder.before_raw(Bytewise(Log::default(), |_: &mut Context, body: Bytes| {
                fragile((&body[..] == b"\"x\"").then_some("x"));
                Ok(body)
            }))
        },
        |builder| {
            builder.after(|_: &Context, outcome: Outcome| {
                fragile((outcome.as_deref() == Ok(b"\"x\"")).then_some("x"));
                outcome
            })
        },
        |builder| {
            let builder = builder.before_raw(Bytewise(Log::default(), unchanged));
            builder.after(|_: &Context, outcome: Outcome| {
                fragile((outcome.as_deref() == Ok(b"\"x\"")).then_some("x"));
                outcome
            })
        },
    ];
    for (i, step) in steps.into_iter().enumerate() {
        let log = Log::default();
        let (app, client) = room(&log, step(Builder::new("game"))).await;
        for method in ["now", "later"] {
            assert_eq!(ask(&client, method, r#""x""#).await, Err("PIT-500".to_owned()), "step {i}");
            assert_eq!(ask(&client, method, r#""y""#).await.as_deref(), Ok(r#""y""#), "step {i}");
        }
        assert_eq!(app.counts().panics, 2, "step {i}");
    }
}
