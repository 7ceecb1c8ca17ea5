//! More clients than a worker has places for tasks that are ready: none of them is left behind.

use crate::raw::{RawClient, request};
use crate::support::serve;
use pitaya_runtime::prelude::*;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

const CLIENTS: usize = 400;
/// Few, so that a poll is short: the shorter they are, the more seldom tokio looks at its second queue by itself. It leaves
/// the slowest client two thirds to three quarters of the mean here.
const DEPTH: usize = 2;
/// How many answers a client has at the end, on average: so many that one more or less does not count.
const ANSWERS: usize = 200;
/// An answer without a body: the head of a packet, the flag, the id in one byte.
const ANSWER: usize = 6;

struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }
}

/// Keeps [`DEPTH`] requests of every client on their way, and counts the bytes of each one's answers. A plain loop, that it
/// takes less than the server does: all clients are always ready.
fn ask(streams: &mut [TcpStream]) -> Vec<usize> {
    let asked = request(1, "game.room.echo", "");
    let mut heard = vec![0; streams.len()];
    for stream in &mut *streams {
        stream.write_all(&asked.repeat(DEPTH)).expect("a server that reads");
    }
    while heard.iter().sum::<usize>() < ANSWERS * ANSWER * streams.len() {
        for (stream, heard) in streams.iter_mut().zip(&mut heard) {
            let whole = *heard / ANSWER;
            match stream.read(&mut [0; ANSWER * DEPTH]) {
                Ok(0) => panic!("the server has ended a connection"),
                Ok(read) => *heard += read,
                Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                Err(e) => panic!("{e}"),
            }
            stream.write_all(&asked.repeat(*heard / ANSWER - whole)).expect("a server that reads");
        }
    }
    heard
}

#[test]
fn with_400_busy_clients_on_one_worker_each_gets_five_sixths_of_the_mean() {
    let server = pitaya_runtime::runtime().worker_threads(1).build().expect("a runtime");
    let (app, mut streams) = server.block_on(async {
        let app = serve(Builder::new("game").handlers(Room)).await;
        let mut streams = Vec::new();
        for _ in 0..CLIENTS {
            streams.push(RawClient::open(&app).await.stream.into_std().expect("a stream of its own"));
        }
        (app, streams)
    });
    let mut heard = ask(&mut streams);
    server.block_on(app.shutdown());
    heard.sort_unstable();
    let mean = heard.iter().sum::<usize>() / CLIENTS;
    assert!(heard[0] * 6 >= mean * 5, "mean {mean}, from {} to {} bytes", heard[0], heard[CLIENTS - 1]);
}
