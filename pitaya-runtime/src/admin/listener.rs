//! The socket, and who asks.

use super::request::{Method, read};
use super::table::Outcome;
use super::{Answer, Table};
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections at the same time. More wait in the system's queue.
const CONNECTIONS: usize = 64;
/// Beside them, those that wait for something long.
const LONG: usize = 4;
/// Time to ask, and time to take the answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Time to close a connection whose answer is sent.
const GOODBYE: Duration = Duration::from_secs(1);
/// The pause after an error of `accept`.
const PAUSE: Duration = Duration::from_millis(50);

/// File descriptors that are kept for who asks here.
const SPARE: usize = 4;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    spare: Arc<Spare>,
}

/// Open files, each to be given up for a connection where no descriptor is left: a server that has none for players must
/// still be able to say so, and that it lives. Several, because whoever is faster may have the one that is given up, or
/// taken back.
#[derive(Debug, Default)]
struct Spare(Mutex<Vec<File>>);

impl Spare {
    /// Whether there was one.
    fn give(&self) -> bool {
        self.0.lock().pop().is_some()
    }

    fn take_back(&self) {
        let mut files = self.0.lock();
        while files.len() < SPARE {
            let Ok(file) = File::open("/dev/null") else { return };
            files.push(file);
        }
    }
}

impl Listener {
    /// Takes the address: a name or a number, IPv6 with or without brackets. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn bind(host: &str, port: u16) -> io::Result<Self> {
        let host = host.trim();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let listener = Self { socket: TcpListener::bind((host, port)).await?, spare: Arc::default() };
        listener.spare.take_back();
        Ok(listener)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers from the table, until it is dropped; with it go all connections.
    pub(crate) async fn run(self, table: Table) {
        let shared = Arc::new(Shared { table, long: Arc::new(Semaphore::new(LONG)) });
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let end = CancellationToken::new();
        let _ended = end.clone().drop_guard();
        loop {
            // It is never closed.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match self.accept().await {
                Ok(stream) => {
                    let (shared, end, spare) = (shared.clone(), end.clone(), self.spare.clone());
                    tokio::spawn(async move {
                        end.run_until_cancelled(serve(stream, &shared, place)).await;
                        spare.take_back();
                    });
                }
                Err(e) => {
                    tracing::debug!("the admin port cannot accept: {e}");
                    sleep(PAUSE).await;
                    self.spare.take_back();
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return Ok(stream),
                Err(_) if self.spare.give() => {}
                Err(e) => return Err(e),
            }
        }
    }
}

struct Shared {
    table: Table,
    /// Places to wait for something long.
    long: Arc<Semaphore>,
}

async fn serve(mut stream: TcpStream, shared: &Shared, place: OwnedSemaphorePermit) {
    let Ok(Ok(asked)) = timeout(DEADLINE, read(&mut stream)).await else { return };
    let with_body = asked.as_ref().map_or(true, |request| request.method != Method::Head);
    let outcome = asked.map_or_else(Outcome::Now, |request| shared.table.ask(&request));
    let answer = match outcome {
        Outcome::Now(answer) => answer,
        Outcome::Later(answer) => {
            let Ok(_long) = shared.long.clone().try_acquire_owned() else {
                let busy = Answer::text("503 Service Unavailable", "enough others wait for this already\n");
                return give(&mut stream, &busy, with_body).await;
            };
            // Whoever waits for hours must not be in the way of a probe.
            drop(place);
            tokio::select! {
                biased;
                answer = answer => answer,
                () = gone(&mut stream) => return,
            }
        }
    };
    give(&mut stream, &answer, with_body).await;
}

async fn give(stream: &mut TcpStream, answer: &Answer, with_body: bool) {
    if let Ok(Ok(())) = timeout(DEADLINE, answer.send(stream, with_body)).await {
        // Closed over bytes that nobody has read, it would be reset, and the answer lost.
        let _ = timeout(GOODBYE, gone(stream)).await;
    }
}

/// Reads and forgets, until nothing more can come.
async fn gone(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio_util::task::AbortOnDropHandle;

    struct Running {
        address: SocketAddr,
        _task: AbortOnDropHandle<()>,
    }

    async fn running() -> Running {
        let mut table = Table::default();
        table.look("/here", || Answer::text("200 OK", "yes\n"));
        table.act("/do", || Box::pin(async { Answer::text("200 OK", "done\n") }));
        table.act("/never", || Box::pin(std::future::pending()));
        table.look("/broken", || panic!("as a test"));
        let listener = Listener::bind("127.0.0.1", 0).await.unwrap();
        let address = listener.address().unwrap();
        Running { address, _task: AbortOnDropHandle::new(tokio::spawn(listener.run(table))) }
    }

    impl Running {
        async fn open(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        }

        async fn ask(&self, request: &str) -> String {
            rest(self.open(request.as_bytes()).await).await
        }
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn an_address_has_brackets_or_not() {
        for (host, address) in [("[::1]", "[::1]"), ("::1", "[::1]"), (" 127.0.0.1", "127.0.0.1")] {
            let listener = Listener::bind(host, 0).await.unwrap();
            let at = listener.address().unwrap();
            assert_eq!(at.to_string(), format!("{address}:{}", at.port()));
        }
    }

    #[tokio::test]
    async fn the_table_is_answered() {
        let server = running().await;
        let answer = server.ask("GET /here?verbose HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nyes\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 4\r\n") && answer.contains("\r\nConnection: close\r\n"));
        let head = server.ask("HEAD /here HTTP/1.1\r\n\r\n").await;
        assert!(head.contains("\r\nContent-Length: 4\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        for (request, status) in [
            ("POST /do HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "200"),
            ("GET /do HTTP/1.0\r\n\r\n", "200"),
            ("HEAD /do HTTP/1.1\r\n\r\n", "405 Method Not Allowed\r\nAllow: GET, POST\r\n"),
            ("POST /here HTTP/1.1\r\n\r\n", "405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"),
            ("GET /there HTTP/1.1\r\n\r\n", "404"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
        ] {
            let answer = server.ask(request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_panics_ends_its_connection_only() {
        let server = running().await;
        assert_eq!(server.ask("GET /broken HTTP/1.1\r\n\r\n").await, "");
        assert!(server.ask("GET /here HTTP/1.1\r\n\r\n").await.contains("yes"));
    }

    #[tokio::test]
    async fn those_who_wait_long_are_few_and_in_nobodys_way() {
        let server = running().await;
        let mut waiting = Vec::new();
        for _ in 0..LONG {
            waiting.push(server.open(b"POST /never HTTP/1.1\r\n\r\n").await);
        }
        // They come in one by one, but are read in any order: one of five is refused.
        waiting.push(server.open(b"POST /never HTTP/1.1\r\n\r\n").await);
        let refused = futures_util::future::select_all(waiting.into_iter().map(|stream| Box::pin(rest(stream))));
        let (answer, _, still) = refused.await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(server.ask("GET /here HTTP/1.1\r\n\r\n").await.contains("yes"));
        // Whoever goes leaves its place, once that is noticed.
        drop(still);
        let taken = || async {
            let again = server.ask("POST /never HTTP/1.1\r\n\r\n");
            timeout(Duration::from_millis(50), again).await.is_err()
        };
        while !taken().await {}
    }

    #[tokio::test]
    async fn connections_are_bounded_and_the_silent_ones_cut() {
        let server = running().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(server.open(b"GET /here HT").await);
        }
        let begun = tokio::time::Instant::now();
        let answer = server.ask("GET /here HTTP/1.1\r\n\r\n").await;
        assert!(answer.contains("yes"));
        assert!(begun.elapsed() > Duration::from_secs(3), "it had to wait until the others were cut");
        for stream in silent {
            assert_eq!(rest(stream).await, "");
        }
    }
}
