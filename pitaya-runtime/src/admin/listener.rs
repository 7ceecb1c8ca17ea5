//! The socket of the admin port: whoever asks is answered, probes before all others.
//!
//! Nothing that others do on this port keeps a probe waiting:
//!
//! * connections are always accepted; beyond [`VISITORS`] the oldest of the address that has most of them is ended;
//! * a request's head has a deadline, `pitaya.health.deadline`;
//! * what is long or heavy (`/pre-stop`, `/metrics`) has places of its own, and is refused when they are taken;
//! * file descriptors are kept for this port.

use super::request::{Method, read};
use super::table::Outcome;
use super::visitors::{Visit, Visitors};
use super::{Answer, Table};
use crate::reserve::Reserve;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections that are asking or taking a short answer. One more ends one of them.
const VISITORS: usize = 128;
/// Connections beside them that wait for something long.
const LONG: usize = 4;
/// Connections beside them that take something heavy. Each costs a rendering, one after the other on a thread.
const HEAVY: usize = 16;
/// Connections that are accepted before those that were have a look at what was sent.
const AT_ONCE: u64 = 16;
/// Time to take an answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Time to close a connection whose answer is sent.
const GOODBYE: Duration = Duration::from_secs(1);
/// The pause after an error of `accept`.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    reserve: Arc<Reserve>,
    /// Time to send a request's head.
    deadline: Duration,
}

impl Listener {
    /// Takes the address: a name or a number, IPv6 with or without brackets. Port 0 takes a free one. Each request's head may take `deadline`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn bind(host: &str, port: u16, deadline: Duration, reserve: Arc<Reserve>) -> io::Result<Self> {
        let host = host.trim();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let listener = Self { socket: TcpListener::bind((host, port)).await?, reserve, deadline };
        listener.reserve.fill();
        Ok(listener)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers from the table, until it is dropped; with it go all connections.
    pub(crate) async fn run(self, table: Table) {
        let (long, heavy) = (Arc::new(Semaphore::new(LONG)), Arc::new(Semaphore::new(HEAVY)));
        let shared = Arc::new(Shared { table, long, heavy, deadline: self.deadline });
        let visitors = Arc::new(Visitors::new(VISITORS));
        let end = CancellationToken::new();
        let _ended = end.clone().drop_guard();
        for number in 0.. {
            let (stream, peer) = self.accept(&visitors).await;
            let (shared, end) = (shared.clone(), end.clone());
            let (visit, filled) = (visitors.visit(number), Filled(self.reserve.clone()));
            let task = tokio::spawn(async move {
                // Behind the stream, whose descriptor it wants.
                let _filled = filled;
                end.run_until_cancelled(serve(stream, &shared, visit)).await;
            });
            visitors.enter(number, peer.ip(), task.abort_handle());
            if number % AT_ONCE == 0 {
                yield_now().await;
            }
        }
    }

    /// The next connection, whatever it takes.
    async fn accept(&self, visitors: &Visitors) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(_) if self.reserve.give() => {}
                Err(e) => {
                    self.reserve.refused();
                    tracing::debug!("the admin port cannot accept: {e}");
                    // Another one makes room; its descriptor is free once its task has ended.
                    if visitors.end_one() {
                        yield_now().await;
                    } else {
                        sleep(PAUSE).await;
                    }
                    self.reserve.fill();
                }
            }
        }
    }
}

/// Fills the reserve when a connection ends, however it does.
struct Filled(Arc<Reserve>);

impl Drop for Filled {
    fn drop(&mut self) {
        self.0.fill();
    }
}

struct Shared {
    table: Table,
    /// Places to wait for something long.
    long: Arc<Semaphore>,
    /// Places to take something heavy.
    heavy: Arc<Semaphore>,
    deadline: Duration,
}

async fn serve(mut stream: TcpStream, shared: &Shared, visit: Visit) {
    let Ok(Ok(asked)) = timeout(shared.deadline, read(&mut stream)).await else { return };
    let with_body = asked.as_ref().map_or(true, |request| request.method != Method::Head);
    let outcome = asked.map_or_else(Outcome::Now, |request| shared.table.ask(&request));
    let places = match &outcome {
        Outcome::Now(answer) => return give(&mut stream, answer, with_body).await,
        Outcome::Heavy(_) => &shared.heavy,
        Outcome::Later(_) => &shared.long,
    };
    let Ok(_place) = places.try_acquire() else {
        let busy = Answer::text("503 Service Unavailable", "enough others wait for this already\n");
        return give(&mut stream, &busy, with_body).await;
    };
    // From here on it has a place of its own, and is ended for nobody.
    drop(visit);
    let answer = match outcome {
        Outcome::Now(answer) => answer,
        Outcome::Heavy(answer) => answer(),
        Outcome::Later(answer) => tokio::select! {
            biased;
            answer = answer => answer,
            () = gone(&mut stream) => return,
        },
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
        table.heavy("/heavy", || Answer::text("200 OK", "x".repeat(16 << 20)));
        let listener = Listener::bind("127.0.0.1", 0, Duration::from_secs(1), Arc::default()).await.unwrap();
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
            let listener = Listener::bind(host, 0, Duration::from_secs(1), Arc::default()).await.unwrap();
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
    async fn those_who_stay_are_in_nobodys_way_and_are_ended() {
        let server = running().await;
        let mut silent = Vec::new();
        // Some are ended for others, the rest at their deadline.
        for _ in 0..VISITORS * 2 {
            silent.push(server.open(b"GET /here HT").await);
            if silent.len() % 16 == 0 {
                assert!(server.ask("GET /here HTTP/1.1\r\n\r\n").await.contains("yes"));
            }
        }
        for mut stream in silent {
            let mut answer = Vec::new();
            let _reset_or_not = stream.read_to_end(&mut answer).await;
            assert_eq!(answer, b"");
        }
    }

    #[tokio::test]
    async fn those_who_take_much_are_few_and_in_nobodys_way() {
        let server = running().await;
        let mut takers = Vec::new();
        for _ in 0..HEAVY + 1 {
            takers.push(server.open(b"GET /heavy HTTP/1.1\r\n\r\n").await);
        }
        // One of them is refused, the others do not read what they get.
        let mut begins = Vec::new();
        for taker in &mut takers {
            let mut begin = [0; 12];
            taker.read_exact(&mut begin).await.unwrap();
            begins.push(String::from_utf8(begin.to_vec()).unwrap());
        }
        assert_eq!(begins.iter().filter(|begin| *begin == "HTTP/1.1 503").count(), 1, "{begins:?}");
        assert!(server.ask("GET /here HTTP/1.1\r\n\r\n").await.contains("yes"));
    }
}
