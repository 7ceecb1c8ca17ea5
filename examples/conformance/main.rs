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

fn main() -> ExitCode {
    match pitaya_runtime::runtime().build().map_err(Into::into).and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("conformance: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse(std::env::args().skip(1))?;
    let mut log = Config::default().log;
    log.level = if flags.debug { "debug" } else { "warn" }.to_owned();
    pitaya_runtime::logs::init(&log)?;
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

/// Lets clients come in. Certificates are those of the config.
fn accept(builder: Builder, way: &str, address: String, flags: &Flags) -> Result<Builder, String> {
    let tcp = Tcp::bind(address);
    let tls = |tcp: Tcp| match flags.cert.is_empty() {
        true => tcp.tls_by_config(),
        false => tcp.tls(&flags.cert, &flags.key),
    };
    Ok(match way {
        "tcp" => builder.acceptor(tcp),
        "proxy" => builder.acceptor(tcp.proxy_protocol(true)),
        "tls" => builder.acceptor(tls(tcp)),
        "ws" => builder.acceptor(WebSocket::over(tcp)),
        "wss" => builder.acceptor(WebSocket::over(tls(tcp))),
        other => return Err(format!("-ways {other}: tcp, proxy, tls, ws or wss")),
    })
}

/// The address whose port is `n` higher; a free port stays one.
fn following(address: &str, n: usize) -> Result<String, String> {
    let wrong = || format!("-addr {address}: host:port");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port: usize = port.parse().map_err(|_| wrong())?;
    Ok(format!("{host}:{}", if port == 0 { 0 } else { port + n }))
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
        let ways = match (&*flags.ways, flags.ws, flags.cert.is_empty()) {
            ("", true, true) => "ws",
            ("", true, false) => "wss",
            ("", false, true) => "tcp",
            ("", false, false) => "tls",
            (ways, ..) => ways,
        };
        for (n, way) in ways.split(',').enumerate() {
            builder = accept(builder, way, following(&address, n)?, flags)?;
        }
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
