//! Who asks for nothing good at the admin port.

use crate::support::{Room, SOON, ask, get, probed, started};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn one_that_drips_is_cut_and_is_in_nobodys_way() {
    let app = started(probed("game").handlers(Room::default())).await;
    let at = app.admin_address().expect("open");
    let begun = Instant::now();
    let (mut reading, mut writing) = TcpStream::connect(at).await.expect("accepted").into_split();
    let dripping = tokio::spawn(async move {
        for byte in b"GET /livez HTTP/1.1\r\nA: ".iter().chain(std::iter::repeat(&b'x')) {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(get(&app, "/livez").await.0, 200);
    let mut answer = Vec::new();
    // Cut, with or without a reset, and without a word.
    let _ = timeout(SOON, reading.read_to_end(&mut answer)).await.expect("cut in time");
    assert_eq!(answer, b"");
    assert!(begun.elapsed() >= Duration::from_secs(4), "it had its time");
    timeout(SOON, dripping).await.expect("it notices").expect("no panic");
    app.shutdown().await;
}

#[tokio::test]
async fn heads_are_bounded_and_nonsense_refused() {
    let app = started(probed("game").handlers(Room::default())).await;
    let at = app.admin_address().expect("open");
    let long = format!("GET /livez HTTP/1.1\r\nCookie: {}", "x".repeat(100_000));
    assert_eq!(ask(at, &long).await.expect("an answer").0, 431);
    assert_eq!(ask(at, "\u{1}\u{0}{}").await.expect("an answer").0, 400);
    assert_eq!(ask(at, "DELETE /livez").await.expect("an answer"), (405, "GET or HEAD\n".to_owned()));
    assert_eq!(ask(at, "HEAD /livez").await.expect("an answer"), (200, String::new()));
    assert_eq!(ask(at, "GET /nothing").await.expect("an answer").0, 404);
    app.shutdown().await;
}
