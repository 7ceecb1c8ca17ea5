//! The server that foreign test suites are pointed at: known components, Go Pitaya's flags, one line when ready.
//!
//! ```text
//! cargo run --example conformance -- -standalone -type connector -port 32222 -serializer json
//! ```

mod flags;
mod interop;
mod libpitaya;
mod messages;
mod room;
mod testsvc;

use flags::Flags;
use pitaya_runtime::config::SerializerType;
use pitaya_runtime::prelude::*;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("conformance: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse(std::env::args().skip(1))?;
    let level = if flags.debug { "debug" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if flags.profile == "libpitaya" {
        return libpitaya::run(&flags).await;
    }
    let app = go_profile(&flags)?;
    app.start().await?;
    // Listened for before anybody knows: a suite may end the server as soon as it is ready.
    let stopped = app.stop_on_signal();
    ready(&[&app]);
    stopped.await;
    Ok(())
}

/// What the suites wait for, and where to connect.
fn ready(apps: &[&App]) {
    let addresses: Vec<_> = apps.iter().flat_map(|app| app.addresses()).map(|address| address.to_string()).collect();
    eprintln!("all modules started! listening on {}", addresses.join(", "));
}

fn go_profile(flags: &Flags) -> Result<App, Box<dyn std::error::Error>> {
    if flags.grpc {
        return Err("gRPC is not built yet: run without -grpc, or with -grpc=false".into());
    }
    let loaded = Config::load_env()?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let mut config = loaded.config;
    config.handler.messages.compression = flags.compress;
    config.serializertype = match &*flags.serializer {
        "json" => SerializerType::Json,
        "protobuf" => SerializerType::Protobuf,
        other => return Err(format!("-serializer {other}: json or protobuf").into()),
    };
    config.cluster.sd.etcd.prefix.clone_from(&flags.prefix);
    config.groups.etcd.prefix.clone_from(&flags.prefix);
    let address = flags.addr.clone().unwrap_or_else(|| format!("0.0.0.0:{}", flags.port));
    let builder = Builder::new(&flags.server_type).config(config).handlers(testsvc::TestSvc).handlers(room::Room);
    let mut builder = builder.handlers(interop::Interop).remotes(testsvc::TestRemoteSvc);
    if flags.frontend {
        builder = match (flags.ws, flags.cert.is_empty()) {
            (true, true) => builder.acceptor(WebSocket::bind(address)),
            (false, true) => builder.acceptor(Tcp::bind(address)),
            (true, false) => builder.acceptor(WebSocket::over(Tcp::bind(address).tls(&flags.cert, &flags.key))),
            (false, false) => builder.acceptor(Tcp::bind(address).tls(&flags.cert, &flags.key)),
        };
    }
    if !flags.standalone {
        builder = builder.clustered();
    }
    match &*flags.groups {
        "memory" => {}
        "etcd" => builder = builder.etcd_groups(),
        other => return Err(format!("-groups {other}: memory or etcd").into()),
    }
    Ok(builder.build()?)
}
