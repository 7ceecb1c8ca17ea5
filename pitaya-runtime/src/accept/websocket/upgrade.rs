//! The HTTP request at the beginning: an upgrade, a page, or a refusal.

use super::Page;
use super::origin::Origins;
use crate::accept::forwarded::ClientHeader;
use crate::accept::{TLS_RECORD, WrongProtocol};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest request head. A browser sends a few hundred bytes.
const HEAD: usize = 8 * 1024;
const HEADERS: usize = 64;
/// RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is behind a WebSocket's port, and for whom.
#[derive(Debug, Clone, Default)]
pub(super) struct Door {
    pub(super) pages: Arc<[Page]>,
    pub(super) origins: Origins,
    /// Where trusted proxies say who is behind them.
    pub(super) client: Option<ClientHeader>,
}

/// What a request asks for.
enum Request {
    /// `client` is who it comes from.
    Upgrade {
        accept: String,
        client: SocketAddr,
    },
    Get {
        path: String,
        head: bool,
    },
    Refuse(&'static str, &'static str),
}

/// Answers the request of this peer. `Some` when it was an upgrade: the bytes that came behind the head, and who it comes
/// from.
///
/// # Errors
/// When the connection breaks, or does not speak HTTP: then nothing is answered, so that clients which try one protocol
/// after the other learn it at once.
pub(super) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    door: &Door,
    peer: SocketAddr,
) -> io::Result<Option<(Vec<u8>, SocketAddr)>> {
    let mut head = Vec::with_capacity(1024);
    let (request, length) = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(parsed) = parse(&head, door, peer)? {
            break parsed;
        }
        if head.len() > HEAD {
            break (Request::Refuse("431 Request Header Fields Too Large", "the request is too long\n"), head.len());
        }
    };
    match request {
        Request::Upgrade { accept, client } => {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
            // A copy of what is behind it, most often of nothing: the head's memory must not stay with the connection.
            return Ok(Some((head.split_off(length), client)));
        }
        Request::Get { path, head } => match door.pages.iter().find(|page| page.path == path) {
            Some(page) => answer(stream, "200 OK", &page.media_type, &page.content, head).await?,
            None => answer(stream, "404 Not Found", "text/plain", b"no such page\n", head).await?,
        },
        Request::Refuse(status, text) => answer(stream, status, "text/plain", text.as_bytes(), false).await?,
    }
    stream.shutdown().await?;
    Ok(None)
}

async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    status: &str,
    media_type: &str,
    body: &[u8],
    head_only: bool,
) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if !head_only {
        stream.write_all(body).await?;
    }
    stream.flush().await
}

/// `None` when the head is not complete.
fn parse(bytes: &[u8], door: &Door, peer: SocketAddr) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) if bytes[0] == TLS_RECORD => return Err(WrongProtocol("it speaks TLS, and this port does not").into()),
        Err(e) => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP request: {e}"))),
    };
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    // A list may come as one line or as several (RFC 9110, section 5.3).
    let has = |name: &str, word: &str| {
        let lines = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let mut parts = lines.flat_map(|header| header.value.split(|byte| *byte == b','));
        parts.any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let method = request.method.unwrap_or_default();
    let path = request.path.unwrap_or_default();
    let refuse = |status, text| Ok(Some((Request::Refuse(status, text), length)));
    if !has("upgrade", "websocket") {
        let path = path.split('?').next().unwrap_or_default().to_owned();
        return match method {
            "GET" | "HEAD" => Ok(Some((Request::Get { path, head: method == "HEAD" }, length))),
            _ => refuse("405 Method Not Allowed", "GET or a WebSocket upgrade\n"),
        };
    }
    if method != "GET" || request.version != Some(1) || !has("connection", "upgrade") {
        return refuse("400 Bad Request", "an upgrade is a GET of HTTP/1.1 with Connection: Upgrade\n");
    }
    if header("sec-websocket-version") != Some("13") {
        return refuse("426 Upgrade Required\r\nSec-WebSocket-Version: 13", "Sec-WebSocket-Version must be 13\n");
    }
    let key = header("sec-websocket-key").unwrap_or_default();
    if BASE64.decode(key).map_or(0, |key| key.len()) != 16 {
        return refuse("400 Bad Request", "Sec-WebSocket-Key must be 16 bytes in base64\n");
    }
    if let Some(origin) = header("origin")
        && !door.origins.allow(origin)
    {
        return refuse("403 Forbidden", "this origin is not allowed\n");
    }
    let client = match &door.client {
        Some(header) => header.client(request.headers.iter().map(|header| (header.name, header.value)), peer),
        None => peer,
    };
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(GUID);
    Ok(Some((Request::Upgrade { accept: BASE64.encode(sha1.digest().bytes()), client }, length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 9);

    async fn ask(request: &[u8], origins: &[&str]) -> (String, Option<Vec<u8>>) {
        let (mut client, mut server) = duplex(64 * 1024);
        client.write_all(request).await.unwrap();
        let origins = Origins::new(origins.iter().copied()).unwrap();
        let door = Door { pages: [Page::new("/", "<p>hello")].into(), origins, client: None };
        let upgraded = upgrade(&mut server, &door, PEER).await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        (answer, upgraded.map(|(early, _)| early))
    }

    const UPGRADE: &str = "GET /any?x HTTP/1.1\r\nHost: h\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    #[tokio::test]
    async fn the_example_of_the_rfc() {
        let (answer, early) = ask(format!("{UPGRADE}\r\nearly").as_bytes(), &[]).await;
        assert!(answer.starts_with("HTTP/1.1 101"));
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(early.unwrap(), b"early");
        let two_lines = UPGRADE.replace("keep-alive, Upgrade", "keep-alive\r\nConnection: Upgrade");
        assert!(ask(format!("{two_lines}\r\n").as_bytes(), &[]).await.1.is_some());
    }

    #[tokio::test]
    async fn pages_and_refusals() {
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "200 OK"),
            ("GET /?q HTTP/1.1\r\n\r\n", "200 OK"),
            ("GET /x HTTP/1.1\r\n\r\n", "404"),
            ("POST / HTTP/1.1\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "426"),
            (
                "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n",
                "400",
            ),
        ] {
            let (answer, upgraded) = ask(request.as_bytes(), &[]).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {answer}");
            assert!(upgraded.is_none());
        }
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(9000));
        assert!(ask(long.as_bytes(), &[]).await.0.starts_with("HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn origins_are_checked_when_there_is_a_list() {
        let allowed = ["https://game.example"];
        let with = |origin: &str| format!("{UPGRADE}Origin: {origin}\r\n\r\n");
        assert!(ask(with("https://game.example").as_bytes(), &allowed).await.1.is_some());
        assert!(ask(with("https://evil.example").as_bytes(), &allowed).await.0.starts_with("HTTP/1.1 403"));
        assert!(ask(with("https://evil.example").as_bytes(), &[]).await.1.is_some());
        assert!(ask(format!("{UPGRADE}\r\n").as_bytes(), &allowed).await.1.is_some());
    }

    #[tokio::test]
    async fn what_is_not_http_fails_at_once() {
        let (mut client, mut server) = duplex(1024);
        client.write_all(b"\x01\x00\x00\x02{}").await.unwrap();
        assert_eq!(upgrade(&mut server, &Door::default(), PEER).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
