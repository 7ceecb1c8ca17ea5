//! The HTTP request at the beginning: an upgrade, a page, or a refusal.

use super::Page;
use super::origin::Origins;
use crate::accept::forwarded::ClientHeader;
use crate::accept::{Refused, RefusedError, TLS_RECORD};
use crate::config::{AcceptorUpgrade, ByteSize};
use crate::http_head::HeadProgress;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Time in which a refused client's rest is read and thrown away: a socket closed with unread bytes is reset, and a reset
/// may take the answer with it.
const LINGER: Duration = Duration::from_millis(500);
/// RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is behind a WebSocket's port, and for whom.
#[derive(Debug, Clone, Default)]
pub(super) struct Door {
    pub(super) pages: Arc<[Page]>,
    pub(super) origins: Origins,
    /// Where trusted proxies say who is behind them.
    pub(super) client: Option<ClientHeader>,
    pub(super) limits: Limits,
}

/// Bounds of a request's head, as `pitaya.acceptor.upgrade` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    bytes: usize,
    lines: usize,
}

impl From<&AcceptorUpgrade> for Limits {
    fn from(upgrade: &AcceptorUpgrade) -> Self {
        Self { bytes: upgrade.size.bytes(), lines: upgrade.lines }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&AcceptorUpgrade::default())
    }
}

/// An upgraded connection.
#[derive(Debug)]
pub(super) struct Upgraded {
    /// Bytes that came behind the head.
    pub(super) early: Vec<u8>,
    /// Address that the request comes from.
    pub(super) client: SocketAddr,
    /// Whether the client asked for a subprotocol: there is none, and browsers give up.
    pub(super) wants_subprotocol: bool,
}

/// What a request asks for.
enum Request {
    /// `client` is who it comes from.
    Upgrade {
        accept: String,
        client: SocketAddr,
        wants_subprotocol: bool,
    },
    Get {
        path: String,
        head: bool,
    },
    /// Status, text, and the reason if it is to be counted and logged.
    Refuse(&'static str, String, Option<Refused>),
}

impl Limits {
    fn exceeded(self) -> Request {
        let Self { bytes, lines } = self;
        let size = ByteSize::new(bytes);
        let text = format!("the head of a request has at most {size} and {lines} header lines\n");
        Request::Refuse("431 Request Header Fields Too Large", text, Some(Refused::UpgradeTooLarge))
    }
}

/// Answers the request of this peer. `None` when it was a page.
///
/// # Errors
/// When the connection breaks, is refused, or does not speak HTTP: then nothing is answered, so that clients which try one
/// protocol after the other learn it at once.
pub(super) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    door: &Door,
    peer: SocketAddr,
) -> io::Result<Option<Upgraded>> {
    let (mut head, mut progress) = (Vec::with_capacity(1024), HeadProgress::default());
    let (request, length) = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Judged by the head alone, however it was cut into pieces and whatever came with it: what is longer is not parsed.
        let whole = head.len() >= door.limits.bytes;
        let within = &head[..head.len().min(door.limits.bytes)];
        if (progress.is_due(within) || whole)
            && let Some(parsed) = parse(within, door, peer)?
        {
            break parsed;
        }
        if whole {
            break (door.limits.exceeded(), head.len());
        }
    };
    match request {
        Request::Upgrade { accept, client, wants_subprotocol } => {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
            // A copy of what is behind it, most often of nothing: the head's memory must not stay with the connection.
            return Ok(Some(Upgraded { early: head.split_off(length), client, wants_subprotocol }));
        }
        Request::Get { path, head } => match door.pages.iter().find(|page| page.path == path) {
            Some(page) => answer(stream, "200 OK", &page.media_type, &page.content, head).await?,
            None => answer(stream, "404 Not Found", "text/plain", b"no such page\n", head).await?,
        },
        Request::Refuse(status, text, reason) => {
            answer(stream, status, "text/plain", text.as_bytes(), false).await?;
            stream.shutdown().await?;
            let _ = timeout(LINGER, skip(stream)).await;
            return match reason {
                Some(reason) => Err(RefusedError::new(reason, text.trim_end().to_owned()).into()),
                None => Ok(None),
            };
        }
    }
    stream.shutdown().await?;
    Ok(None)
}

/// Reads and forgets, until nothing more can come.
async fn skip(stream: &mut (impl AsyncRead + Unpin)) {
    // No array: that would be a part of every connection's future, from its first byte on.
    let mut rest = vec![0; 4096];
    while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
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
    let mut headers = vec![httparse::EMPTY_HEADER; door.limits.lines];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Ok(Some((door.limits.exceeded(), bytes.len()))),
        Err(_) if bytes[0] == TLS_RECORD => {
            return Err(RefusedError::new(Refused::TlsOnPlain, "it speaks TLS, and this port does not").into());
        }
        Err(e) => {
            let text = format!("not an HTTP request ({e}): this port takes WebSockets");
            return Err(RefusedError::new(Refused::NotHttp, text).into());
        }
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
    let refuse = |status, text: &str, reason| Ok(Some((Request::Refuse(status, text.to_owned(), reason), length)));
    let upgrade = Some(Refused::Upgrade);
    if !has("upgrade", "websocket") {
        let path = path.split('?').next().unwrap_or_default().to_owned();
        return match method {
            "GET" | "HEAD" => Ok(Some((Request::Get { path, head: method == "HEAD" }, length))),
            _ => refuse("405 Method Not Allowed", "GET or a WebSocket upgrade\n", None),
        };
    }
    if method != "GET" || request.version != Some(1) || !has("connection", "upgrade") {
        return refuse("400 Bad Request", "an upgrade is a GET of HTTP/1.1 with Connection: Upgrade\n", upgrade);
    }
    if header("sec-websocket-version") != Some("13") {
        return refuse(
            "426 Upgrade Required\r\nSec-WebSocket-Version: 13",
            "Sec-WebSocket-Version must be 13\n",
            upgrade,
        );
    }
    let key = header("sec-websocket-key").unwrap_or_default();
    if BASE64.decode(key).map_or(0, |key| key.len()) != 16 {
        return refuse("400 Bad Request", "Sec-WebSocket-Key must be 16 bytes in base64\n", upgrade);
    }
    let named = |name: &'static str| {
        let lines = request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        lines.map(|header| header.value)
    };
    if !named("origin").all(|origin| door.origins.allow(origin, header("host"))) {
        return refuse("403 Forbidden", "this origin is not allowed\n", Some(Refused::Origin));
    }
    let client = match &door.client {
        Some(header) => header.client(request.headers.iter().map(|header| (header.name, header.value)), peer),
        None => peer,
    };
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(GUID);
    let accept = BASE64.encode(sha1.digest().bytes());
    let wants_subprotocol = named("sec-websocket-protocol").next().is_some();
    Ok(Some((Request::Upgrade { accept, client, wants_subprotocol }, length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 9);

    /// What a client gets that sends these pieces, one after the other, and the bytes behind its head if it comes in.
    async fn pieces(pieces: &[&[u8]], origins: &[&str]) -> (String, Option<Vec<u8>>) {
        let (mut client, mut server) = duplex(64 * 1024);
        let origins = Origins::new(origins.iter().copied()).unwrap();
        let door = Door { pages: [Page::new("/", "<p>hello")].into(), origins, ..Door::default() };
        let asking = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                // Read before the next one comes.
                tokio::task::yield_now().await;
            }
            let mut answer = vec![0; 4096];
            let length = client.read(&mut answer).await.unwrap();
            String::from_utf8(answer[..length].to_vec()).unwrap()
        };
        let serving = async { upgrade(&mut server, &door, PEER).await.ok().flatten() };
        let (answer, upgraded) = tokio::join!(asking, serving);
        (answer, upgraded.map(|upgraded| upgraded.early))
    }

    async fn ask(request: &[u8], origins: &[&str]) -> (String, Option<Vec<u8>>) {
        pieces(&[request], origins).await
    }

    const UPGRADE: &str = "GET /any?x HTTP/1.1\r\nHost: h\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    #[tokio::test(start_paused = true)]
    async fn the_example_of_the_rfc() {
        let (answer, early) = ask(format!("{UPGRADE}\r\nearly").as_bytes(), &[]).await;
        assert!(answer.starts_with("HTTP/1.1 101"));
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(early.unwrap(), b"early");
        let two_lines = UPGRADE.replace("keep-alive, Upgrade", "keep-alive\r\nConnection: Upgrade");
        assert!(ask(format!("{two_lines}\r\n").as_bytes(), &[]).await.1.is_some());
    }

    #[tokio::test(start_paused = true)]
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
    }

    /// An upgrade with a head of so many bytes, in so many header lines.
    fn sized(bytes: usize, lines: usize) -> Vec<u8> {
        let mut head = UPGRADE.to_owned();
        for _ in UPGRADE.lines().count() - 1..lines - 1 {
            head.push_str("A: b\r\n");
        }
        let filler = bytes - head.len() - "C: \r\n\r\n".len();
        head.push_str(&format!("C: {}\r\n\r\n", "x".repeat(filler)));
        assert_eq!((head.len(), head.lines().count() - 2), (bytes, lines));
        head.into_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_judged_by_its_size_and_its_lines_however_it_is_cut() {
        let Limits { bytes, lines } = Limits::default();
        assert_eq!((bytes, lines), (16 * 1024, 128));
        for (head, status) in [
            (sized(9_002, 6), "101"),
            (sized(bytes, 6), "101"),
            (sized(bytes + 1, 6), "431"),
            (sized(bytes * 2, 6), "431"),
            (sized(9_002, lines), "101"),
            (sized(9_002, lines + 1), "431"),
            (sized(bytes * 2, lines * 2), "431"),
        ] {
            for piece in [1, 500, 1_460, 8_500, 64 * 1024] {
                let cut: Vec<&[u8]> = head.chunks(piece).collect();
                let (answer, _) = pieces(&cut, &[]).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{} by {piece}: {answer}", head.len());
            }
        }
        // What follows the head does not count.
        let with_more = [&sized(bytes, 6)[..], &[b'x'; 30_000]].concat();
        assert!(ask(&with_more, &[]).await.0.starts_with("HTTP/1.1 101"));
    }

    #[tokio::test(start_paused = true)]
    async fn origins_are_checked_when_there_is_a_list() {
        let allowed = ["https://game.example"];
        let with = |origin: &str| format!("{UPGRADE}Origin: {origin}\r\n\r\n");
        assert!(ask(with("https://game.example").as_bytes(), &allowed).await.1.is_some());
        assert!(ask(with("https://evil.example").as_bytes(), &allowed).await.0.starts_with("HTTP/1.1 403"));
        assert!(ask(with("https://evil.example").as_bytes(), &[]).await.1.is_some());
        assert!(ask(format!("{UPGRADE}\r\n").as_bytes(), &allowed).await.1.is_some());
        let odd = [UPGRADE.as_bytes(), b"Origin: https://game.example\xff\r\n\r\n"].concat();
        assert!(ask(&odd, &allowed).await.0.starts_with("HTTP/1.1 403"), "what is no text is on no list");
        let two = with("https://game.example").replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n");
        assert!(ask(two.as_bytes(), &allowed).await.0.starts_with("HTTP/1.1 403"), "each of several must be allowed");
        let same = ["same-host"];
        assert!(ask(with("http://h:8080").as_bytes(), &same).await.1.is_some());
        assert!(ask(with("http://hh").as_bytes(), &same).await.0.starts_with("HTTP/1.1 403"));
    }

    #[tokio::test]
    async fn what_is_not_http_fails_at_once() {
        let (mut client, mut server) = duplex(1024);
        client.write_all(b"\x01\x00\x00\x02{}").await.unwrap();
        let error = upgrade(&mut server, &Door::default(), PEER).await.unwrap_err();
        assert_eq!(RefusedError::reason_of(&error), Some(Refused::NotHttp));
    }
}
