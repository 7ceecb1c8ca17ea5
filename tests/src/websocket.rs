//! A WebSocket written by hand: no library stands between a test and a wrong frame.

use crate::client::Stream;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The last frame of a message.
pub const FIN: u8 = 0x80;
/// Opcodes of RFC 6455, section 5.2.
pub const CONTINUATION: u8 = 0;
/// See [`CONTINUATION`].
pub const TEXT: u8 = 1;
/// See [`CONTINUATION`].
pub const BINARY: u8 = 2;
/// See [`CONTINUATION`].
pub const CLOSE: u8 = 8;
/// See [`CONTINUATION`].
pub const PING: u8 = 9;
/// See [`CONTINUATION`].
pub const PONG: u8 = 10;

/// The handshake of the RFC's own example, and its answer.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: [`FIN`] and the opcode.
    pub first: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// An upgraded connection. As a [`Stream`] each write is one binary message, and reads give what messages carry.
#[derive(Debug)]
pub struct WebSocket {
    stream: TcpStream,
    read: Vec<u8>,
    /// Payload that was read from a frame and not asked for yet.
    payload: Vec<u8>,
}

impl WebSocket {
    /// Connects and upgrades on this path, with these headers besides.
    ///
    /// # Panics
    /// When the server does not agree.
    #[must_use]
    pub fn connect(address: SocketAddr, path: &str, headers: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        Self::over(stream, path, headers)
    }

    /// Upgrades a connection.
    ///
    /// # Panics
    /// When the server does not agree.
    #[must_use]
    pub fn over(mut stream: TcpStream, path: &str, headers: &str) -> Self {
        stream.set_nodelay(true).expect("a socket without delay");
        stream.set_read_timeout(Some(crate::PATIENCE)).expect("a socket with a deadline");
        stream.write_all(request(path, headers).as_bytes()).expect("a request that is taken");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap_or_else(|e| panic!("{e} in {:?}", String::from_utf8_lossy(&head)));
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head of text");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&format!("Sec-WebSocket-Accept: {ACCEPT}\r\n")), "{head}");
        assert!(!head.to_ascii_lowercase().contains("sec-websocket-extensions"), "nothing was offered: {head}");
        Self { stream, read: Vec::new(), payload: Vec::new() }
    }

    /// Sends one masked frame; `first` is [`FIN`] or not, and the opcode.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        let _ = self.stream.write_all(&masked(first, payload));
    }

    /// The next frame, or `None` at the end.
    ///
    /// # Errors
    /// When nothing comes in time.
    ///
    /// # Panics
    /// For a masked frame: a server's never are.
    pub fn next_frame(&mut self, within: Duration) -> io::Result<Option<Frame>> {
        self.stream.set_read_timeout(Some(within))?;
        loop {
            if let Some((frame, length)) = split(&self.read) {
                self.read.drain(..length);
                return Ok(Some(frame));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(length) => self.read.extend_from_slice(&chunk[..length]),
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }
}

/// The upgrade request.
#[must_use]
pub fn request(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// The bytes of a client's frame.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length => match u16::try_from(length) {
            Ok(length) => {
                bytes.push(0x80 | 126);
                bytes.extend(length.to_be_bytes());
            }
            Err(_) => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        },
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A server's frame at the start of `bytes`, and its length.
fn split(bytes: &[u8]) -> Option<(Frame, usize)> {
    let &[first, length, ..] = bytes else { return None };
    assert!(length < 0x80, "a server does not mask");
    let (head, length) = match length {
        126 => (4, u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?).into()),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        short => (2, short.into()),
    };
    let payload = bytes.get(head..head + length)?.to_vec();
    Some((Frame { first, payload }, head + length))
}

impl Stream for WebSocket {
    fn limit(&mut self, time: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(time))
    }
}

impl Read for WebSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let within = self.stream.read_timeout()?.unwrap_or(crate::PATIENCE);
        while self.payload.is_empty() {
            match self.next_frame(within)? {
                Some(frame) if frame.first == FIN | BINARY => self.payload = frame.payload,
                // The end: what a client of packets hears.
                Some(frame) if frame.first == FIN | CLOSE => return Ok(0),
                Some(frame) => panic!("a server sends packets in whole binary frames, not {frame:x?}"),
                None => return Ok(0),
            }
        }
        let length = self.payload.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.payload[..length]);
        self.payload.drain(..length);
        Ok(length)
    }
}

impl Write for WebSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_all(&masked(FIN | BINARY, bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
