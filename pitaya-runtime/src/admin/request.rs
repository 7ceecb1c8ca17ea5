//! The head of a question. Bodies are not asked for, and skipped.

use super::Answer;
use crate::http_head::HeadProgress;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head. A probe sends a hundred bytes, Prometheus five hundred.
const HEAD: usize = 8 * 1024;
const HEADERS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Without the query.
    pub(super) path: String,
}

/// Reads a head; what is none has its answer.
///
/// # Errors
/// When the connection ends or breaks first.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<Request, Answer>> {
    let (mut head, mut progress) = (Vec::with_capacity(1024), HeadProgress::default());
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What came behind the head may be long.
        let bytes = &head[..head.len().min(HEAD)];
        let whole = bytes.len() == HEAD;
        if (progress.is_due(bytes) || whole)
            && let Some(parsed) = parse(bytes)
        {
            return Ok(parsed);
        }
        if whole {
            return Ok(Err(too_long()));
        }
    }
}

fn too_long() -> Answer {
    Answer::text("431 Request Header Fields Too Large", "the head of a request has at most 8 KiB and 64 lines\n")
}

/// `None` when it is not complete.
fn parse(bytes: &[u8]) -> Option<Result<Request, Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Some(Err(too_long())),
        Err(e) => return Some(Err(Answer::text("400 Bad Request", format!("this is not an HTTP request: {e}\n")))),
    }
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    Some(Ok(Request { method, path }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(bytes: &[u8]) -> io::Result<Result<Request, &'static str>> {
        let mut bytes = bytes;
        Ok(read(&mut bytes).await?.map_err(|answer| answer.status))
    }

    #[tokio::test]
    async fn heads() {
        let request = |method, path: &str| Ok(Request { method, path: path.to_owned() });
        assert_eq!(asked(b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap(), request(Method::Get, "/a"));
        assert_eq!(asked(b"HEAD / HTTP/1.0\r\n\r\n").await.unwrap(), request(Method::Head, "/"));
        let post = [b"POST /x HTTP/1.1\r\nContent-Length: 90000\r\n\r\n", &[b'x'; 90_000][..]].concat();
        assert_eq!(asked(&post).await.unwrap(), request(Method::Post, "/x"));
        assert_eq!(asked(b"DELETE / HTTP/1.1\r\n\r\n").await.unwrap(), request(Method::Other, "/"));
    }

    #[tokio::test]
    async fn what_is_no_head() {
        assert_eq!(asked(b"\x01\x00\x00\x02{}").await.unwrap(), Err("400 Bad Request"));
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(HEAD));
        assert!(asked(long.as_bytes()).await.unwrap().unwrap_err().starts_with("431"));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
        assert!(asked(many.as_bytes()).await.unwrap().unwrap_err().starts_with("431"));
        assert_eq!(asked(b"GET / HT").await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
