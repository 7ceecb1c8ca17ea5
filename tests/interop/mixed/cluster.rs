//! A cluster of three: what every case is given.

use crate::body::Codec;
use crate::player::Player;
use crate::server::{Program, Server};
use pitaya_tests::PATIENCE;
use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The server type of both frontends.
pub(crate) const FRONT: &str = "connector";
/// The server type of the backend.
pub(crate) const BACK: &str = "game";

/// Who plays which part, and what clients speak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) front: Program,
    pub(crate) back: Program,
    pub(crate) codec: Codec,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.front.name(), self.back.name(), self.codec.name())
    }
}

/// Two frontends of one type and a backend. Where the row is mixed the second frontend is of the backend's language.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) row: Row,
    /// What the keys in etcd begin with.
    pub(crate) prefix: String,
    pub(crate) front: Server,
    pub(crate) second: Server,
    pub(crate) back: Server,
    /// Of the two frontends and the backend.
    pub(crate) ids: [String; 3],
}

impl Cluster {
    /// Starts the three and waits until each knows the others.
    pub(crate) fn start(row: Row) -> Self {
        let prefix = format!("{}/", unique("cluster"));
        let start = |program, kind, frontend| Server::start(program, kind, frontend, &prefix, row.codec);
        let back = start(row.back, BACK, false);
        let (front, second) = (start(row.front, FRONT, true), start(row.back, FRONT, true));
        let mut player = Player::open(front.address(), row.codec);
        let mut neighbour = Player::open(second.address(), row.codec);
        for player in [&mut player, &mut neighbour] {
            eventually("the backend is known", PATIENCE, || !player.ask("game.room.echo", b"x").error);
        }
        let id = |player: &mut Player, route| player.ask(route, b"").text().to_owned();
        let ids = [id(&mut player, "interop.id"), id(&mut neighbour, "interop.id"), id(&mut player, "game.interop.id")];
        // Who calls whom is known when the call arrives.
        let mut called = |route: &str, id: &str| {
            let call = rpc_to(id, "connector.testremotesvc.rpctestnoargs", "");
            eventually("a frontend is known", PATIENCE, || !player.ask(route, &call).error);
        };
        called("game.interop.rpcto", &ids[0]);
        called("game.interop.rpcto", &ids[1]);
        called("interop.rpcto", &ids[1]);
        Self { row, prefix, front, second, back, ids }
    }

    /// Another server of this cluster.
    pub(crate) fn join(&self, program: Program, kind: &str, frontend: bool) -> Server {
        Server::start(program, kind, frontend, &self.prefix, self.row.codec)
    }

    /// A client of the first frontend.
    pub(crate) fn player(&self) -> Player {
        self.player_on(&self.front)
    }

    /// A client of this frontend.
    pub(crate) fn player_on(&self, server: &Server) -> Player {
        Player::open(server.address(), self.row.codec)
    }

    /// What the servers have written since this was asked for.
    pub(crate) fn logs(&self) -> impl Iterator<Item = String> {
        [&self.front, &self.second, &self.back].into_iter().flat_map(Server::log)
    }
}

/// A name that no other run and no other case has. Uids must be unique beyond a cluster: subjects of NATS have no prefix.
pub(crate) fn unique(what: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The argument of `rpcto`.
pub(crate) fn rpc_to(id: &str, route: &str, data: &str) -> Vec<u8> {
    serde_json::json!({ "id": id, "route": route, "data": data }).to_string().into_bytes()
}

/// Asks again and again until it is so. There is nothing to wait on: another process learns of a third.
pub(crate) fn eventually(what: &str, within: Duration, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !so() {
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        sleep(Duration::from_millis(5));
    }
}
