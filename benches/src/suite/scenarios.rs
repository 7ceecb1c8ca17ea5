//! What is measured, and what it must show. All bounds of the suite stand here.
//!
//! Rows of a scenario are run in their order in every round: what is divided by a row comes soon after it.

use crate::suite::claim::{Claim, Figure};
use crate::suite::row::Rig::{self, Bare, Calls, Go, GoCompressing, GoPair, Mux, Ours, OursCompressing, Pair, Pinus};
use crate::suite::row::{Drive, Row};
use crate::transport::Transport::{Tls, WebSocket};

/// A question, the rows that answer it, and what the answer must be.
#[derive(Debug)]
pub struct Scenario {
    /// What `--only` calls it.
    pub id: &'static str,
    /// What is asked.
    pub title: &'static str,
    /// What is measured.
    pub rows: &'static [Row],
    /// What it must show.
    pub claims: &'static [Claim],
    /// At most so many rounds: some take long and hardly differ.
    pub rounds: usize,
}

const fn echo(name: &'static str, rig: Rig, conns: usize, depth: usize) -> Row {
    Row::new(name, rig, Drive::Echo { conns, depth })
}

const fn half(name: &'static str, rig: Rig, row: &'static str) -> Row {
    Row::new(name, rig, Drive::HalfOf { row, conns: 1_000 })
}

const fn idle(name: &'static str, rig: Rig) -> Row {
    Row::new(name, rig, Drive::Idle { sessions: 8_000, secs: 0.5 })
}

const fn calls(name: &'static str, rig: Rig, in_flight: usize) -> Row {
    Row::new(name, rig, Drive::Calls { in_flight })
}

const fn broadcast(name: &'static str, rig: Rig, rooms: usize) -> Row {
    Row::new(name, rig, Drive::Broadcast { members: 10_000, rounds: 20, rooms })
}

const fn told(name: &'static str, slow: usize) -> Row {
    Row::new(name, Ours, Drive::Told { members: 200, rounds: 100, slow })
}

const MANY: usize = 99;

/// All of them. S17, instructions and system calls, has a command of its own: they do not move with the load.
#[rustfmt::skip]
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "S1", title: "TCP echo, raw handler, 16 requests in flight per connection", rounds: MANY,
        rows: &[
            echo("bare", Bare("echo"), 64, 16),
            echo("sync", Ours, 64, 16),
            echo("async", Ours, 64, 16).asynchronous(),
            echo("bare-1000", Bare("echo"), 1_000, 16),
            echo("sync-1000", Ours, 1_000, 16),
            echo("async-1000", Ours, 1_000, 16).asynchronous(),
            echo("go", Go, 64, 16),
        ],
        claims: &[
            Claim::share("sync, 64 connections, of bare tokio", "sync", &["bare"], 0.93),
            Claim::share("async, 64 connections, of bare tokio", "async", &["bare"], 0.85),
            Claim::share("sync, 1,000 connections, of bare tokio", "sync-1000", &["bare-1000"], 0.93),
            Claim::share("async, 1,000 connections, of bare tokio", "async-1000", &["bare-1000"], 0.85),
            Claim::share("times less CPU than Go Pitaya", "sync", &["go"], 45.0).at_best(&["bare"], 0.93),
        ],
    },
    Scenario {
        id: "S2", title: "TCP echo, raw handler, one request in flight per connection", rounds: MANY,
        rows: &[
            echo("bare", Bare("echo"), 64, 1),
            echo("workers", Bare("echo-workers"), 64, 1),
            echo("sync", Ours, 64, 1),
            echo("bare-1000", Bare("echo"), 1_000, 1),
            echo("sync-1000", Ours, 1_000, 1),
            echo("go", Go, 64, 1),
            echo("compressing", OursCompressing, 64, 1),
            echo("go-compressing", GoCompressing, 64, 1),
        ],
        claims: &[
            Claim::share("64 connections, of bare tokio", "sync", &["bare"], 0.96).at_best(&["workers"], 0.96),
            Claim::share("1,000 connections, of bare tokio", "sync-1000", &["bare-1000"], 0.96),
            Claim::share("times less CPU than Go Pitaya", "sync", &["go"], 4.5).at_best(&["workers"], 0.96),
            Claim::share("the same with compression on, Go's default", "compressing", &["go-compressing"], 60.0).at_best(&["workers"], 0.96),
        ],
    },
    Scenario {
        id: "S3", title: "TCP echo of typed JSON", rounds: MANY,
        rows: &[
            echo("bare", Bare("json"), 64, 16).json(),
            echo("typed", Ours, 64, 16).json(),
            echo("go", Go, 64, 16).json(),
            echo("bare-1", Bare("json"), 64, 1).json(),
            echo("typed-1", Ours, 64, 1).json(),
            echo("go-1", Go, 64, 1).json(),
            echo("pinus", Pinus, 64, 16).json(),
        ],
        claims: &[
            Claim::share("of bare tokio + serde_json", "typed", &["bare"], 0.87),
            Claim::share("times less CPU than Go Pitaya", "typed", &["go"], 20.0).at_best(&["bare"], 0.87),
            Claim::share("times less CPU than Pinus", "typed", &["pinus"], 1.0).shown().at_best(&["bare"], 0.87),
            Claim::share("times less CPU than Go Pitaya, one request in flight", "typed-1", &["go-1"], 5.0).at_best(&["bare-1"], 0.87),
        ],
    },
    Scenario {
        id: "S4", title: "WebSocket echo, raw handler", rounds: MANY,
        rows: &[
            echo("bare", Bare("ws"), 64, 16).over(WebSocket),
            echo("sync", Ours, 64, 16).over(WebSocket),
            echo("bare-1", Bare("ws"), 64, 1).over(WebSocket),
            echo("sync-1", Ours, 64, 1).over(WebSocket),
            echo("go", Go, 64, 16).over(WebSocket),
        ],
        claims: &[
            Claim::share("16 in flight, of the bare codec", "sync", &["bare"], 0.88),
            Claim::share("one in flight, of the bare codec", "sync-1", &["bare-1"], 0.88),
            Claim::share("times less CPU than Go Pitaya", "sync", &["go"], 30.0).at_best(&["bare"], 0.88),
        ],
    },
    Scenario {
        id: "S5", title: "TLS echo, raw handler", rounds: MANY,
        rows: &[
            echo("bare", Bare("tls"), 64, 16).over(Tls),
            echo("sync", Ours, 64, 16).over(Tls),
            echo("bare-1", Bare("tls"), 64, 1).over(Tls),
            echo("sync-1", Ours, 64, 1).over(Tls),
        ],
        claims: &[
            Claim::share("16 in flight, of bare tokio-rustls", "sync", &["bare"], 0.9),
            Claim::share("one in flight, of bare tokio-rustls", "sync-1", &["bare-1"], 0.9),
        ],
    },
    Scenario {
        id: "S6", title: "Latency in an open loop, 1,000 connections", rounds: MANY,
        rows: &[
            echo("full", Ours, 1_000, 1),
            half("bare-half", Bare("echo"), "full"),
            half("half", Ours, "full"),
            echo("go-full", Go, 1_000, 1),
            half("go-half", Go, "go-full"),
            half("at-go-half", Ours, "go-full"),
        ],
        claims: &[
            Claim::times("p99 at half of our capacity, of bare tokio's", "half", &["bare-half"], 1.2).of(Figure::P99),
            Claim::times("p99.9 at half of our capacity, of bare tokio's", "half", &["bare-half"], 1.5).of(Figure::P999),
            Claim::share("p99 at half of Go's capacity: times shorter than Go's", "at-go-half", &["go-half"], 5.0).of(Figure::P99),
        ],
    },
    Scenario {
        id: "S7", title: "Broadcast of 64 bytes to 10,000 members", rounds: MANY,
        rows: &[broadcast("bare", Bare("broadcast"), 0), broadcast("group", Ours, 0)],
        claims: &[
            Claim::times("time to the last member, of a bare loop's", "group", &["bare"], 1.15).of(Figure::Last),
            Claim::times("CPU per member, of a bare loop's", "group", &["bare"], 1.15).shown(),
        ],
    },
    Scenario {
        id: "S8", title: "100 rooms of 100 members", rounds: MANY,
        rows: &[broadcast("one", Ours, 0), broadcast("rooms", Ours, 100)],
        claims: &[Claim::times("CPU per push, of one group's of 10,000", "rooms", &["one"], 1.1)],
    },
    Scenario {
        id: "S9", title: "Calls from server to server over NATS", rounds: MANY,
        rows: &[
            calls("mux-1", Mux, 1), calls("lane-1", Calls { plain: false }, 1), calls("plain-1", Calls { plain: true }, 1),
            calls("mux-64", Mux, 64), calls("lane-64", Calls { plain: false }, 64), calls("plain-64", Calls { plain: true }, 64),
            calls("mux-512", Mux, 512), calls("lane-512", Calls { plain: false }, 512), calls("plain-512", Calls { plain: true }, 512),
        ],
        claims: &[
            Claim::rate("rate, 512 in flight, of the bare multiplexer", "lane-512", &["mux-512"], 1.1),
            Claim::rate("the same towards a server that speaks as Go's", "plain-512", &["mux-512"], 0.5),
            Claim::rate("rate, 64 in flight", "lane-64", &["mux-64"], 1.1).shown(),
            Claim::rate("the same towards a server that speaks as Go's", "plain-64", &["mux-64"], 0.7).shown(),
            Claim::rate("rate, one in flight", "lane-1", &["mux-1"], 1.1).shown(),
            Claim::rate("the same towards a server that speaks as Go's", "plain-1", &["mux-1"], 0.7).shown(),
        ],
    },
    Scenario {
        id: "S10", title: "A client's request to a backend, over NATS", rounds: MANY,
        rows: &[
            echo("bare-1", Bare("echo"), 64, 1), calls("mux-64", Mux, 64), echo("forwarded-1", Pair, 64, 1),
            echo("bare-16", Bare("echo"), 64, 16), calls("mux-512", Mux, 512), echo("forwarded-16", Pair, 64, 16),
            echo("go-1", GoPair, 64, 1), echo("go-16", GoPair, 64, 16),
        ],
        claims: &[
            Claim::times("CPU of front and back, one in flight, of the bare parts", "forwarded-1", &["bare-1", "mux-64"], 1.4),
            Claim::times("the same, 16 in flight", "forwarded-16", &["bare-16", "mux-512"], 0.8),
            Claim::share("times less CPU than Go Pitaya, broker included, one in flight", "forwarded-1", &["go-1"], 10.0).of(Figure::CpuWithBroker).at_best(&["bare-1", "mux-64"], 1.0 / 1.4),
            Claim::share("the same, 16 in flight", "forwarded-16", &["go-16"], 45.0).of(Figure::CpuWithBroker).at_best(&["bare-16", "mux-512"], 1.0 / 0.8),
        ],
    },
    Scenario {
        id: "S11", title: "Login storm: connect, handshake, bind, one request; 200 at a time", rounds: MANY,
        rows: &[
            Row::new("bare", Bare("lean"), Drive::Logins { count: 10_000 }),
            Row::new("logins", Ours, Drive::Logins { count: 10_000 }),
        ],
        claims: &[Claim::share("CPU per login, of bare accept and three exchanges", "logins", &["bare"], 0.85)],
    },
    Scenario {
        id: "S12", title: "Memory of an idle session, 8,000 of them", rounds: MANY,
        rows: &[
            idle("bare", Bare("lean")), idle("tcp", Ours), idle("ws", Ours).over(WebSocket), idle("tls", Ours).over(Tls),
            idle("go", Go),
        ],
        claims: &[
            Claim::at_most("bytes, TCP", "tcp", Figure::Bytes, 2048.0),
            Claim::at_most("bytes, WebSocket", "ws", Figure::Bytes, 4096.0),
            Claim::at_most("bytes, TLS", "tls", Figure::Bytes, 0.0).shown(),
            Claim::at_most("bytes, bare tokio without buffers", "bare", Figure::Bytes, 0.0).shown(),
            Claim::share("times less than Go Pitaya, TCP", "tcp", &["go"], 10.0).of(Figure::Bytes).at_best(&["bare"], 0.5),
        ],
    },
    Scenario {
        id: "S13", title: "CPU of 10,000 idle sessions, heartbeat every 30 s", rounds: 2,
        rows: &[Row::new("idle", Ours, Drive::Idle { sessions: 10_000, secs: 60.0 })],
        claims: &[Claim::at_most("per cent of a core", "idle", Figure::Idle, 0.5)],
    },
    Scenario {
        id: "S14", title: "Logins for 60 s", rounds: 2,
        rows: &[Row::new("churn", Ours, Drive::Churn { secs: 60.0 })],
        claims: &[Claim::at_most("growth of resident memory, per cent", "churn", Figure::Growth, 5.0)],
    },
    Scenario {
        id: "S15", title: "TCP echo of 1 KiB of typed JSON, compressed, 16 requests in flight", rounds: MANY,
        rows: &[
            echo("plain", Ours, 64, 16).long_json(),
            echo("compressing", OursCompressing, 64, 16).long_json(),
            echo("go-compressing", GoCompressing, 64, 16).long_json(),
        ],
        claims: &[
            Claim::share("times less CPU than Go Pitaya", "compressing", &["go-compressing"], 3.0),
            Claim::times("of the same without compression", "compressing", &["plain"], 1.0).shown(),
        ],
    },
    Scenario {
        id: "S16", title: "Slow readers: 200 members, 20 pushes of 4 KiB a second", rounds: MANY,
        rows: &[told("all-read", 0), told("slow", 10)],
        claims: &[Claim::times("p99 of those who read when 10 % do not, of without", "slow", &["all-read"], 1.2).of(Figure::P99)],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_claims_name_rows() {
        for (at, scenario) in SCENARIOS.iter().enumerate() {
            assert_eq!(scenario.id, format!("S{}", at + 1));
            let has = |name: &str| scenario.rows.iter().filter(|row| row.name == name).count() == 1;
            assert!(scenario.rows.iter().all(|row| has(row.name)), "{}", scenario.id);
            for claim in scenario.claims {
                assert!(
                    has(claim.row) && claim.by.iter().chain(claim.floor).all(|name| has(name)),
                    "{} {}",
                    scenario.id,
                    claim.title
                );
            }
        }
    }

    #[test]
    fn what_keeps_half_of_a_rate_comes_after_it() {
        for scenario in SCENARIOS {
            for (at, row) in scenario.rows.iter().enumerate() {
                if let Drive::HalfOf { row: of, .. } = row.drive {
                    assert!(scenario.rows[..at].iter().any(|row| row.name == of), "{} {}", scenario.id, row.name);
                }
            }
        }
    }
}
