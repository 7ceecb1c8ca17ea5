//! A chat room: browsers on one port, games over TCP on another, no other service needed.
//!
//! ```text
//! cargo run --example chat                                   # http://127.0.0.1:3250/ and tcp://127.0.0.1:3251
//! cargo run --example chat -- --host 0.0.0.0 --port 8080 --tcp-port 8081
//! ```

mod messages;
mod page;
mod room;

use pitaya_runtime::prelude::*;
use room::Room;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: chat [--host HOST] [--port PORT] [--tcp-port PORT]   (port 0 takes a free one)";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("chat: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse(std::env::args().skip(1))?;

    // Browsers come from the Internet. PITAYA_* variables can change anything; the chat only wants to miss a lost browser
    // sooner than a game would.
    let mut config = Config::edge().with_env()?.config;
    pitaya_runtime::logs::init(&config.log)?;
    config.heartbeat.interval = config.heartbeat.interval.min(Duration::from_secs(10));

    let app = Builder::new("chat")
        .config(config)
        .acceptor(WebSocket::bind(format!("{}:{}", args.host, args.port)).pages(page::pages()))
        .acceptor(Tcp::bind(format!("{}:{}", args.host, args.tcp_port)))
        .handlers(Room::default())
        .build()?;
    app.start().await?;
    let stopped = app.stop_on_signal();
    if let [web, tcp] = app.addresses()[..] {
        println!("chat: open http://{web}/ in two tabs; games connect to tcp://{tcp}");
    }
    stopped.await;
    Ok(())
}

struct Args {
    host: String,
    port: u16,
    tcp_port: u16,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self { host: "127.0.0.1".to_owned(), port: 3250, tcp_port: 3251 };
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"));
            let port = |text: String| text.parse().map_err(|_| format!("{text} is not a port\n{USAGE}"));
            match &*name {
                "--host" => parsed.host = value()?,
                "--port" => parsed.port = port(value()?)?,
                "--tcp-port" => parsed.tcp_port = port(value()?)?,
                _ => return Err(format!("unknown argument {name}\n{USAGE}")),
            }
        }
        Ok(parsed)
    }
}
