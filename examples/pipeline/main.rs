//! Steps around every handler: who is asking, whether what they send holds, and what they learn of a failure.
//!
//! ```text
//! cargo run --example pipeline
//! ```

use garde::Validate;
use pitaya_client::{Client, RequestError};
use pitaya_runtime::codes;
use pitaya_runtime::pipeline::Outcome;
use pitaya_runtime::prelude::*;
use pitaya_runtime::validation::Validation;
use serde::Deserialize;
use std::any::Any;
use uuid::Uuid;

#[derive(Deserialize, Validate)]
struct Login {
    #[garde(length(chars, min = 2, max = 12))]
    name: String,
}

#[derive(Deserialize, Validate)]
struct Buy {
    #[garde(ascii)]
    item: String,
    #[garde(range(min = 1, max = 99))]
    count: u32,
}

/// What a step learned, for the handler.
struct Buyer(String);

struct Shop;

#[handler]
impl Shop {
    pub async fn login(&self, session: &Session, login: Login) -> Result<String> {
        // The name is for show. Who somebody is, is no client's choice: a shop with accounts takes it from a checked token.
        session.bind(&Uuid::new_v4().to_string()).await?;
        session.data().set("name", &login.name)?;
        Ok(format!("welcome, {}", login.name))
    }

    pub fn buy(&self, cx: &Context, buy: Buy) -> Result<String> {
        let buyer = cx.get::<Buyer>().map_or("nobody", |buyer| &buyer.0);
        match &*buy.item {
            "sword" => Ok(format!("{buyer} bought {} swords", buy.count)),
            // An error of a library: its text is not for players.
            _ => Err(std::io::Error::other("table items_v2 is locked").into()),
        }
    }
}

/// Before: everything but the login is for those who are known. It sees a payload by its type.
fn known_only(cx: &mut Context, payload: &mut (dyn Any + Send)) -> Result<()> {
    match cx.session().uid() {
        Some(_) => {
            let name = cx.session().data().get("name")?;
            cx.insert(Buyer(name.unwrap_or_default()));
        }
        None if payload.is::<Login>() => {}
        None => return Err(Error::new("SHOP-401", "log in first")),
    }
    Ok(())
}

/// After: errors that nobody gave a code are logged in full, and players learn no more than that it failed.
fn polite_errors(_: &Context, outcome: Outcome) -> Outcome {
    outcome.map_err(|error| match error.code() {
        codes::UNKNOWN => {
            eprintln!("for the log: {}", error.message());
            Error::new("SHOP-500", "the shop is closed, come back later")
        }
        _ => error,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Builder::new("game")
        .config(Config::load_env()?.config)
        .acceptor(Tcp::bind("127.0.0.1:0"))
        .handlers(Shop)
        // In this order, each before the method; the first error ends the call.
        .before(known_only)
        .before(Validation::new().of::<Login>().of::<Buy>())
        .after(polite_errors)
        .build()?;
    app.start().await?;

    let client = Client::connect(&format!("tcp://{}", app.addresses()[0])).await?;
    for (route, body) in [
        ("game.shop.buy", r#"{"item": "sword", "count": 1}"#),
        ("game.shop.login", r#"{"name": "a"}"#),
        ("game.shop.login", r#"{"name": "ada"}"#),
        ("game.shop.buy", r#"{"item": "sword", "count": 0}"#),
        ("game.shop.buy", r#"{"item": "sword", "count": 2}"#),
        ("game.shop.buy", r#"{"item": "shield", "count": 1}"#),
    ] {
        let answer = match client.request_raw(route, body).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(RequestError::Server(error)) => error.to_string(),
            Err(e) => return Err(e.into()),
        };
        println!("{route} {body}: {answer}");
    }
    client.close().await;
    app.shutdown().await;
    Ok(())
}
