//! A chatty client: what it says too often is answered PIT-429 and never reaches the room. What else it does is not
//! touched, and a moment later it may speak again.
//!
//! ```text
//! cargo run --example rate_limit
//! ```
//!
//! Limits are a matter of the deployment as well: `PITAYA_LIMITS_ROUTES=chat.room.say=10/s`.

use pitaya_client::{Client, RequestError};
use pitaya_runtime::prelude::*;
use std::time::Duration;

struct Room;

#[handler]
impl Room {
    pub fn say(&self, text: Raw) -> Raw {
        text
    }

    pub fn members(&self) -> Vec<&'static str> {
        vec!["ada", "grace"]
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Builder::new("chat")
        .config(Config::load_env()?.config)
        // What one connection may send in all, as in Go; over that it is silence there, and an answer here.
        .acceptor(Tcp::bind("127.0.0.1:0").wrap(RateLimit::default()))
        .configure(|config| config.conn.ratelimiting.answer = true)
        // What one session may send to a route: three at once, and one more each second.
        .limit("chat.room.say", Rate::new(3, Duration::from_secs(3)))
        .handlers(Room)
        .build()?;
    app.start().await?;

    let client = Client::connect(&format!("tcp://{}", app.addresses()[0])).await?;
    for line in ["one", "two", "three", "four", "five"] {
        println!("{}", said(client.request_raw("chat.room.say", line).await)?);
    }
    println!("{}", said(client.request_raw("chat.room.members", "").await)?);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    println!("{}", said(client.request_raw("chat.room.say", "six").await)?);

    println!("{} messages were over the limit", app.counts().limited_messages);
    client.close().await;
    app.shutdown().await;
    Ok(())
}

/// The answer, or the error that the server gave in its place.
fn said(answer: Result<impl AsRef<[u8]>, RequestError>) -> Result<String, RequestError> {
    match answer {
        Ok(body) => Ok(String::from_utf8_lossy(body.as_ref()).into_owned()),
        Err(RequestError::Server(error)) => Ok(error.to_string()),
        Err(e) => Err(e),
    }
}
