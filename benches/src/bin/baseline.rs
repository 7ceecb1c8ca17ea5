//! The bare servers: one task a connection on tokio's current-thread runtime and nothing else. With `-workers` behind the
//! mode they run on the runtime of a server, which has threads and a clock.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use pitaya_benches::bare::{self, Bare, Malformed, Mode};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

const USAGE: &str = "usage: baseline echo|json|ws|lean|broadcast HOST:PORT
       baseline echo-workers|json-workers|ws-workers HOST:PORT
       baseline tls HOST:PORT CERTIFICATE KEY";
/// A request of the harness has 86 bytes: a whole batch at any sensible depth fits.
const BUFFER: usize = 16 * 1024;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let workers = words.first().and_then(|mode| mode.strip_suffix("-workers"));
    let runtime = match workers {
        Some(_) => pitaya_runtime::runtime().build(),
        None => tokio::runtime::Builder::new_current_thread().enable_io().build(),
    };
    let served = runtime.and_then(|runtime| match words.as_slice() {
        ["tls", addr, certificate, key] => runtime.block_on(tls(addr, certificate, key)),
        ["broadcast", addr] => runtime.block_on(broadcast(addr)),
        [mode, addr] => match workers.unwrap_or(mode).parse() {
            Ok(mode) => runtime.block_on(serve(mode, addr)),
            Err(()) => Err(io::Error::other(USAGE)),
        },
        _ => Err(io::Error::other(USAGE)),
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("baseline: {e}");
            ExitCode::FAILURE
        }
    }
}

/// The echo behind tokio-rustls.
async fn tls(addr: &str, certificate: &str, key: &str) -> io::Result<()> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(certificate).map_err(io::Error::other)?.flatten().collect();
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?.with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(certificates, key).map_err(io::Error::other)?));
    let listener = TcpListener::bind(addr).await?;
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move { buffered(acceptor.accept(stream).await?, Mode::Echo).await });
    }
}

/// The echo that also sends each notify on to everybody, one write a connection and nothing between.
async fn broadcast(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    println!("ready");
    let everybody = Rc::new(RefCell::new(Vec::new()));
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let stream = Rc::new(stream);
                everybody.borrow_mut().push(stream.clone());
                tokio::task::spawn_local(member(stream, everybody.clone()));
            }
        })
        .await
}

async fn member(stream: Rc<TcpStream>, everybody: Rc<RefCell<Vec<Rc<TcpStream>>>>) -> io::Result<()> {
    let (mut input, mut out) = ([0; 4096], Vec::new());
    loop {
        stream.readable().await?;
        let got = match stream.try_read(&mut input) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        };
        // A member of the harness sends one packet and waits: what is here is whole.
        if let Some(push) = bare::push_of(&input[..got]) {
            for stream in everybody.borrow().iter() {
                // A member whose socket is full misses it, and the generator says so.
                let _ = stream.try_write(&push);
            }
            continue;
        }
        out.clear();
        Bare::new(Mode::Lean).answer(&mut input[..got], &mut out).map_err(malformed)?;
        let _ = stream.try_write(&out)?;
    }
}

async fn serve(mode: Mode, addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // How a connection ends is no business of a baseline: the generator counts what it does not get.
        match mode {
            Mode::Lean => drop(tokio::spawn(lean(stream))),
            _ => drop(tokio::spawn(buffered(stream, mode))),
        }
    }
}

/// Read as much as there is, answer all of it, write once.
async fn buffered(mut stream: impl AsyncRead + AsyncWrite + Unpin, mode: Mode) -> io::Result<()> {
    let mut bare = Bare::new(mode);
    let mut input = vec![0; BUFFER];
    let mut filled = 0;
    let mut out = Vec::with_capacity(BUFFER);
    loop {
        match stream.read(&mut input[filled..]).await? {
            0 => return Ok(()),
            got => filled += got,
        }
        let used = bare.answer(&mut input[..filled], &mut out).map_err(malformed)?;
        input.copy_within(used..filled, 0);
        filled -= used;
        if !out.is_empty() {
            stream.write_all(&out).await?;
            // TLS keeps what it has sealed; on a socket this does nothing.
            stream.flush().await?;
            out.clear();
        }
    }
}

thread_local! {
    /// Shared by all connections: a turn leaves nothing in it.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; 4 * BUFFER], Vec::with_capacity(4 * BUFFER)));
}

/// Holds no buffer between turns, except for the rare packet that came in two parts.
async fn lean(mut stream: TcpStream) -> io::Result<()> {
    let mut rest = Vec::new();
    loop {
        stream.readable().await?;
        match SCRATCH.with_borrow_mut(|(input, out)| lean_turn(&stream, &mut rest, input, out)) {
            Ok(None) => return Ok(()),
            Ok(Some(unsent)) if unsent.is_empty() => {}
            Ok(Some(unsent)) => stream.write_all(&unsent).await?,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}

/// One read and one write; returns what the socket did not take, `None` at the end of the stream.
fn lean_turn(
    stream: &TcpStream,
    rest: &mut Vec<u8>,
    input: &mut [u8],
    out: &mut Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    let kept = rest.len();
    let got = stream.try_read(&mut input[kept..])?;
    if got == 0 {
        return Ok(None);
    }
    input[..kept].copy_from_slice(rest);
    let filled = kept + got;
    out.clear();
    let used = Bare::new(Mode::Lean).answer(&mut input[..filled], out).map_err(malformed)?;
    *rest = if used == filled { Vec::new() } else { input[used..filled].to_vec() };
    if out.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let sent = match stream.try_write(out) {
        Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
        other => other?,
    };
    Ok(Some(out[sent..].to_vec()))
}

fn malformed(Malformed: Malformed) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "malformed packet")
}
