//! TLS: games over TCP, browsers over WebSocket, and certificates that are renewed while everybody plays.
//!
//! ```text
//! cargo run --example tls                                          # makes a certificate for localhost
//! cargo run --example tls -- --cert server.crt --key server.key    # shows yours; replace the files, and it shows the new
//! cargo run --example tls -- --clients clients.pem                 # asks clients for a certificate of this authority
//! ```

mod args;
mod certificate;

use args::Args;
use pitaya_runtime::prelude::*;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tls: {e}");
            ExitCode::FAILURE
        }
    }
}

struct Room;

#[handler]
impl Room {
    /// An echo.
    pub fn say(&self, text: String) -> String {
        text
    }

    /// What the client's certificate is, as `openssl x509 -fingerprint -sha256` would print it.
    pub fn who(&self, session: &Session) -> String {
        session.certificate().map_or("somebody without a certificate".to_owned(), |shown| format!("{shown:?}"))
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    // The limits of a server that the Internet reaches, unless PITAYA_* variables say otherwise.
    let config = Config::edge().with_env()?.config;
    pitaya_runtime::logs::init(&config.log)?;
    let args = Args::parse(std::env::args().skip(1))?;
    // Made for the time it runs, if none was given.
    let (files, _made) = certificate::given_or_made(args.files)?;

    let tls = |port: u16| {
        let tls = Tcp::bind(format!("127.0.0.1:{port}")).tls(&files.certificate, &files.key);
        match &args.clients {
            Some(authorities) => tls.require_client_certificates(authorities),
            None => tls,
        }
    };
    let app = Builder::new("game")
        .config(config)
        .acceptor(tls(args.port))
        .acceptor(WebSocket::over(tls(args.web_port)).pages([Page::new("/", "<h1>This page came over TLS</h1>")]))
        .handlers(Room)
        .build()?;
    app.start().await?;
    let stopped = app.stop_on_signal();
    if let [games, web] = app.addresses()[..] {
        let certificate = files.certificate.display();
        println!("tls: games connect to tls://{games}, browsers to https://{web}/; the certificate is {certificate}");
    }
    stopped.await;
    Ok(())
}
