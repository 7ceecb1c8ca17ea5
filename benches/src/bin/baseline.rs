//! The bare servers: one task a connection on tokio's current-thread runtime and nothing else.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use pitaya_benches::bare::{Bare, Malformed, Mode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const USAGE: &str = "usage: baseline echo|json|ws|lean HOST:PORT";
/// A request of the harness has 86 bytes: a whole batch at any sensible depth fits.
const BUFFER: usize = 16 * 1024;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, addr] = args.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let Ok(mode) = mode.parse() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(mode, addr))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("baseline: {addr}: {e}");
            ExitCode::FAILURE
        }
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
async fn buffered(mut stream: TcpStream, mode: Mode) -> io::Result<()> {
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
