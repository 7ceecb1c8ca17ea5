//! The steps around a remote.

use crate::support::{server, shown};
use bytes::Bytes;
use garde::Validate;
use parking_lot::Mutex;
use pitaya_client::Client;
use pitaya_runtime::BoxFuture;
use pitaya_runtime::pipeline::{BeforeRaw, Outcome};
use pitaya_runtime::prelude::*;
use pitaya_runtime::validation::Validation;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// What a step left for the method.
struct Mark(&'static str);

#[derive(Debug, Serialize, Deserialize, Validate)]
pub struct Order {
    #[garde(range(max = 3))]
    count: u32,
}

#[derive(Clone)]
pub struct Vault(Log);

#[remote(codec = Json)]
impl Vault {
    pub fn now(&self, cx: &RemoteContext, text: String) -> Result<String> {
        self.0.push(format!("method {text}"));
        Ok(cx.get::<Mark>().map_or(text, |mark| mark.0.to_owned()))
    }

    pub async fn later(&self, cx: &RemoteContext, text: String) -> Result<String> {
        tokio::task::yield_now().await;
        self.now(cx, text)
    }

    pub async fn panics(&self) -> Result<String> {
        tokio::task::yield_now().await;
        panic!("on purpose")
    }

    pub fn order(&self, order: Order) -> Result<u32> {
        Ok(order.count)
    }
}

#[handler]
impl Vault {
    pub fn ask(&self, text: String) -> String {
        self.0.push(format!("handler {text}"));
        text
    }

    pub async fn relay(&self, rpc: &Rpc, text: String) -> Result<String> {
        VaultClient::new(rpc, "vault").now(&text).await
    }
}

/// A step on bytes: logs them, and gives whatever its function makes of them, a moment later.
struct Bytewise<F>(Log, F);

impl<F: Fn(Bytes) -> Result<Bytes> + Send + Sync + 'static> BeforeRaw<RemoteContext> for Bytewise<F> {
    fn before_raw<'a>(&'a self, _: &'a mut RemoteContext, body: Bytes) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.push(format!("raw {}", String::from_utf8_lossy(&body)));
            (self.1)(body)
        })
    }
}

fn before(log: &Log) -> impl Fn(&mut RemoteContext, &mut (dyn Any + Send)) -> Result<()> + use<> {
    let log = log.clone();
    move |_, payload| {
        log.push(format!("before {}", payload.downcast_ref::<String>().map_or("-", String::as_str)));
        Ok(())
    }
}

fn after(log: &Log) -> impl Fn(&RemoteContext, Outcome) -> Outcome + use<> {
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

async fn vault(log: &Log, builder: Builder) -> (App, VaultClient) {
    let app = builder.acceptor(Tcp::bind("127.0.0.1:0")).component(Vault(log.clone()));
    let app = server(&LocalCluster::default(), app).await;
    let client = VaultClient::new(app.rpc(), "vault");
    (app, client)
}

async fn ask(client: &VaultClient, method: &str, text: &str) -> Result<String> {
    let text = text.to_owned();
    if method == "now" { client.now(&text).await } else { client.later(&text).await }
}

#[tokio::test]
async fn bytes_then_argument_then_method_then_outcome() {
    let log = Log::default();
    let builder = Builder::new("vault")
        .after_remote(after(&log))
        .before_remote(before(&log))
        .before_raw_remote(Bytewise(log.clone(), |_| Ok(r#""b""#.into())))
        .before_raw_remote(Bytewise(log.clone(), Ok))
        .before_remote(|_: &mut RemoteContext, payload: &mut (dyn Any + Send)| {
            payload.downcast_mut::<String>().expect("a text").push('c');
            Ok(())
        });
    let (_app, client) = vault(&log, builder).await;
    for method in ["now", "later"] {
        assert_eq!(ask(&client, method, "a").await, Ok("bc".to_owned()));
        let route = format!(r#"after vault.{method} "bc""#);
        assert_eq!(log.take(), [r#"raw "a""#, r#"raw "b""#, "before b", "method bc", &route]);
    }
}

#[tokio::test]
async fn clients_pass_the_steps_of_handlers_and_servers_those_of_remotes() {
    let log = Log::default();
    let handlers = log.clone();
    let builder = Builder::new("vault").before_remote(before(&log)).after_remote(after(&log)).before(
        move |cx: &mut Context, _: &mut (dyn Any + Send)| {
            handlers.push(format!("client {}", cx.route()));
            Ok(())
        },
    );
    let (app, client) = vault(&log, builder).await;
    assert_eq!(ask(&client, "now", "a").await, Ok("a".to_owned()));
    assert_eq!(log.take(), ["before a", "method a", r#"after vault.now "a""#]);
    let player = Client::connect(&format!("tcp://{}", app.addresses()[0])).await.expect("it accepts");
    let _: String = player.request_json("vault.vault.ask", "b").await.expect("an answer");
    assert_eq!(log.take(), ["client vault.vault.ask", "handler b"]);
    let _: String = player.request_json("vault.vault.relay", "c").await.expect("an answer");
    assert_eq!(log.take(), ["client vault.vault.relay", "before c", "method c", r#"after vault.now "c""#]);
}

#[tokio::test]
async fn an_error_of_a_step_keeps_its_code_and_one_without_is_an_internal_error() {
    type Make = fn() -> Error;
    let errors: [(Make, &str); 2] = [
        (|| Error::new("VAULT-2", "not now").with("until", "9"), "VAULT-2: not now until=9"),
        (|| Error::from(std::fmt::Error), "PIT-500: an error occurred when formatting an argument"),
    ];
    for (error, expected) in errors {
        let code = expected.split(':').next().expect("a code");
        let log = Log::default();
        let refuse = move |_: &mut RemoteContext, _: &mut (dyn Any + Send)| Err(error());
        let builder = Builder::new("vault").before_remote(refuse).before_remote(before(&log)).after_remote(after(&log));
        let (_app, client) = vault(&log, builder).await;
        for method in ["now", "later"] {
            assert_eq!(shown(ask(&client, method, "a").await), expected);
            assert_eq!(log.take(), [format!("after vault.{method} {code}")]);
        }

        let builder = Builder::new("vault")
            .before_raw_remote(Bytewise(log.clone(), move |_| Err(error())))
            .before_raw_remote(Bytewise(log.clone(), Ok))
            .after_remote(after(&log));
        let (_app, client) = vault(&log, builder).await;
        assert_eq!(shown(ask(&client, "now", "a").await), expected);
        assert_eq!(log.take(), [r#"raw "a""#.to_owned(), format!("after vault.now {code}")]);
    }
}

#[tokio::test]
async fn what_a_step_leaves_is_seen_by_later_steps_and_the_method_and_by_no_other_call() {
    let log = Log::default();
    let seen = log.clone();
    let mark = |cx: &mut RemoteContext, payload: &mut (dyn Any + Send)| {
        if payload.downcast_ref::<String>().is_some_and(|text| text == "mark") {
            cx.insert(Mark("marked"));
        }
        Ok(())
    };
    let look = move |cx: &RemoteContext, outcome: Outcome| {
        seen.push(format!("{:?}", cx.get::<Mark>().map(|mark| mark.0)));
        outcome
    };
    let (_app, client) = vault(&log, Builder::new("vault").before_remote(mark).after_remote(look)).await;
    for method in ["now", "later"] {
        assert_eq!(ask(&client, method, "mark").await, Ok("marked".to_owned()));
        assert_eq!(log.take(), ["method mark", "Some(\"marked\")"]);
        assert_eq!(ask(&client, method, "plain").await, Ok("plain".to_owned()));
        assert_eq!(log.take(), ["method plain", "None"]);
    }
}

#[tokio::test]
async fn the_last_steps_turn_errors_into_answers_and_back() {
    let swap = |_: &RemoteContext, outcome: Outcome| match outcome {
        Ok(body) => Err(Error::new("VAULT-4", String::from_utf8_lossy(&body).into_owned())),
        Err(error) => Ok(format!("\"was {}\"", error.code()).into_bytes()),
    };
    let (app, client) = vault(&Log::default(), Builder::new("vault").after_remote(swap)).await;
    for method in ["now", "later"] {
        assert_eq!(shown(ask(&client, method, "a").await), "VAULT-4: \"a\"");
    }
    assert_eq!(client.panics().await, Ok("was PIT-500".to_owned()));
    let unreadable = app.rpc().any::<(Json,)>("vault").send("vault.now", &1u8);
    assert_eq!(unreadable.request().await, Ok("was PIT-400".to_owned()));
    assert_eq!(app.counts().panics, 1);
    // Where there is no remote, there is nothing that steps could be around.
    let gone = app.rpc().any::<(Json,)>("vault").empty("vault.gone").request::<String>().await;
    assert_eq!(shown(gone), "PIT-404: route not found route=vault.gone");
}

#[tokio::test]
async fn a_step_that_panics_is_an_answer_and_the_server_goes_on() {
    fn fragile(is_x: bool) {
        assert!(!is_x, "on purpose");
    }
    let steps: [fn(Builder) -> Builder; 3] = [
        |builder| {
            builder.before_remote(|_: &mut RemoteContext, payload: &mut (dyn Any + Send)| {
                fragile(payload.downcast_ref::<String>().is_some_and(|text| text == "x"));
                Ok(())
            })
        },
        |builder| {
            builder.before_raw_remote(Bytewise(Log::default(), |body: Bytes| {
                fragile(&body[..] == b"\"x\"");
                Ok(body)
            }))
        },
        |builder| {
            builder.after_remote(|_: &RemoteContext, outcome: Outcome| {
                fragile(outcome.as_deref() == Ok(b"\"x\""));
                outcome
            })
        },
    ];
    for (i, step) in steps.into_iter().enumerate() {
        let (app, client) = vault(&Log::default(), step(Builder::new("vault"))).await;
        for method in ["now", "later"] {
            assert_eq!(shown(ask(&client, method, "x").await), "PIT-500: internal error", "step {i}");
            assert_eq!(ask(&client, method, "y").await, Ok("y".to_owned()), "step {i}");
        }
        assert_eq!(app.counts().panics, 2, "step {i}");
    }
}

#[tokio::test]
async fn an_argument_that_does_not_hold_is_refused() {
    let builder = Builder::new("vault").before_remote(Validation::new().of::<Order>());
    let (_app, client) = vault(&Log::default(), builder).await;
    assert_eq!(client.order(&Order { count: 3 }).await, Ok(3));
    let error = client.order(&Order { count: 4 }).await.expect_err("too many");
    assert!(error.code() == "PIT-400" && error.message().contains("count"), "{error}");
}
