//! The chat on several servers: players connect to any frontend, the rooms are on a server behind them.
//!
//! ```text
//! cargo run --example cluster                    # http://127.0.0.1:3250/ and http://127.0.0.1:3251/, all in one process
//! cargo run --example cluster -- --port 8080     # 8080 and 8081; 0 takes free ones
//!
//! # Each server in a process of its own, on any machine:
//! cargo run --example cluster -- --role room --nats nats://127.0.0.1:4222 --etcd http://127.0.0.1:2379
//! cargo run --example cluster -- --role connector --port 3250 --nats nats://127.0.0.1:4222 --etcd http://127.0.0.1:2379
//! ```
//!
//! `deploy/` has the same for Kubernetes and Compose, with probes: `PITAYA_HEALTH_ENABLED=true`, port 9090.

mod args;
mod door;
#[path = "../chat/messages.rs"]
mod messages;
#[path = "../chat/page.rs"]
mod page;
mod room;

use args::{Args, Network, Role};
use door::Door;
use pitaya_runtime::prelude::*;
use room::Room;
use std::process::ExitCode;
use std::time::Duration;

/// The type of the frontends.
const CONNECTOR: &str = "connector";
/// The type of the server with the rooms, as the page's routes have it: `chat.room.join`.
const CHAT: &str = "chat";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("cluster: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse(std::env::args().skip(1))?;
    pitaya_runtime::logs::init(&Config::load_env()?.config.log)?;

    let servers = match args.role {
        Some(Role::Room) => vec![room(&args)?],
        Some(Role::Connector) => vec![connector(&args, args.port)?],
        // The first one is the last to stop: the others need it.
        None => vec![room(&args)?, connector(&args, args.port)?, connector(&args, args.second_port()?)?],
    };
    for server in &servers {
        server.start().await?;
    }
    let (last, others) = servers.split_last().ok_or("there is a server in every role")?;
    let stopped = last.stop_on_signal();
    let addresses: Vec<_> = servers.iter().flat_map(App::addresses).map(|at| format!("http://{at}/")).collect();
    match &addresses[..] {
        [] => println!("cluster: the rooms are open"),
        all => println!("cluster: open {}", all.join(" and ")),
    }
    stopped.await;
    for server in others.iter().rev() {
        server.shutdown().await;
    }
    Ok(())
}

/// The server with the rooms. There is one: they are in its memory.
fn room(args: &Args) -> Result<App, Box<dyn std::error::Error>> {
    Ok(server(CHAT, args)?.component(Room::default()).build()?)
}

/// A frontend: it has the players' connections and the page, and knows nothing of rooms.
fn connector(args: &Args, port: u16) -> Result<App, Box<dyn std::error::Error>> {
    let web = WebSocket::bind(format!("{}:{port}", args.host)).pages(page::pages());
    Ok(server(CONNECTOR, args)?.acceptor(web).handlers(Door).build()?)
}

fn server(kind: &str, args: &Args) -> Result<Builder, Box<dyn std::error::Error>> {
    // Players reach the frontends directly. PITAYA_* variables can change anything.
    let mut config = Config::edge().with_env()?.config;
    args.configure(&mut config);
    config.heartbeat.interval = config.heartbeat.interval.min(Duration::from_secs(10));
    // Each server has its own part of what is in this program.
    let builder = Builder::new(kind).config(config).warn_unmounted(false);
    Ok(match &args.network {
        Network::Process(cluster) => builder.local_cluster(cluster),
        Network::Services { .. } => builder.clustered(),
    })
}
