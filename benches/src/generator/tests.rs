use std::net::TcpListener;
use std::thread;

use super::*;
use crate::bare::{Bare, Mode};

/// A server with one thread a connection. `before` runs before each batch of bytes is answered, with the number of the
/// batch; `false` ends the connection.
fn serve(mode: Mode, before: fn(usize) -> bool) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            thread::spawn(move || {
                let (mut bare, mut buffer, mut kept) = (Bare::new(mode), vec![0; 1 << 16], 0);
                for batch in 0.. {
                    let got = stream.read(&mut buffer[kept..]).unwrap_or(0);
                    if got == 0 || !before(batch) {
                        return;
                    }
                    let mut out = Vec::new();
                    let filled = kept + got;
                    let used = bare.answer(&mut buffer[..filled], &mut out).expect("well-formed");
                    buffer.copy_within(used..filled, 0);
                    kept = filled - used;
                    let _ = stream.write_all(&out);
                }
            });
        }
    });
    Target {
        addr,
        route: "connector.room.join".to_owned(),
        body: if mode == Mode::Json { Body::Json } else { Body::Raw },
        transport: if mode == Mode::WebSocket { Transport::WebSocket } else { Transport::Tcp },
        unordered: false,
        servers: vec![std::process::id()],
    }
}

fn load(conns: usize, depth: usize, millis: u64, rate: Option<f64>) -> Load {
    Load {
        conns,
        depth,
        window: Duration::from_millis(millis),
        warm_up: Duration::from_millis(20),
        rate,
        messages: None,
    }
}

#[test]
fn every_kind_of_server_is_driven_without_a_failure() {
    for mode in [Mode::Echo, Mode::Json, Mode::WebSocket] {
        let generator = Generator::new(serve(mode, |_| true)).expect("epoll");
        let report = generator.load(&load(4, 16, 100, None)).expect("a report");
        assert_eq!((report.errors, report.first_error), (0, None), "{mode:?}");
        assert!(report.msgs > 0 && report.answers > report.msgs, "{mode:?}: {} of {}", report.msgs, report.answers);
        assert!(report.p50_us > 0.0 && report.p50_us <= report.p99_us && report.p99_us <= report.max_us);
    }
}

#[test]
fn an_open_loop_charges_a_stall_to_every_request_that_was_due_in_it() {
    let target = serve(Mode::Echo, |batch| {
        if batch == 100 {
            thread::sleep(Duration::from_millis(300));
        }
        true
    });
    let generator = Generator::new(target).expect("epoll");
    let report = generator.load(&load(1, 1, 600, Some(1_000.0))).expect("a report");
    assert_eq!(report.errors, 0);
    // A closed loop would have seen one slow answer: about 300 requests were due while nothing moved.
    assert!(report.p90_us > 100_000.0, "p90 is {} us", report.p90_us);
    assert!(report.max_us >= 300_000.0, "max is {} us", report.max_us);
}

#[test]
fn a_server_that_hangs_up_is_a_failure() {
    let generator = Generator::new(serve(Mode::Echo, |batch| batch < 10)).expect("epoll");
    let error = generator.load(&load(2, 4, 5_000, None)).unwrap_err();
    assert!(error.starts_with("every connection is lost: "), "{error}");
}

#[test]
fn idle_sessions_are_counted() {
    let generator = Generator::new(serve(Mode::Echo, |_| true)).expect("epoll");
    let report = generator.idle(50, Duration::from_millis(10)).expect("a report");
    assert_eq!((report.sessions, report.errors), (50, 0));
}
