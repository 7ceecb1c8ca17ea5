//! A client's message that another server answers.

use crate::body::starts_with_code;
use crate::cluster::Cluster;
use crate::player::show;
use crate::server::{Program, RPC_TIMEOUT};
use std::time::Instant;

pub(super) fn bodies(cluster: &Cluster) {
    let codec = cluster.row.codec;
    let mut player = cluster.player();
    let long: Vec<u8> = (0..300_000u32).flat_map(|n| [n as u8, (n >> 8) as u8]).collect();
    for body in [&b"raw"[..], b"\0\xff", b"{}", &long] {
        player.gets("game.room.join", body, body);
        player.gets("game.room.echo", body, body);
    }
    // Nothing was sent, so there is nothing to echo: to Go that is no answer at all.
    match cluster.row.back {
        Program::Go => player.refused("game.room.join", b"", "PIT-000", "reply must not be null", None),
        Program::Ours => player.gets("game.room.join", b"", b""),
    }
    player.gets("game.testsvc.testrequestonlysessionreturnsptr", b"", &codec.response(200, "hello"));
    for msg in ["good", "Zoë \"\\ \n 日本"] {
        player.gets("game.testsvc.testrequestreturnsptr", &codec.request(msg), &codec.response(200, msg));
        player.gets("game.testsvc.testrequestreturnsraw", &codec.request(msg), msg.as_bytes());
    }
    player.gets("game.room.move", &codec.step("ann"), &codec.step("ann"));
}

pub(super) fn errors(cluster: &Cluster) {
    let mut player = cluster.player();
    let unknown = "pitaya/handler: game.testsvc.nonexistenthandler not found";
    player.refused("game.testsvc.nonexistenthandler", b"woow", "PIT-404", unknown, None);
    player.refused("game.nobody.x", b"", "PIT-404", "pitaya/handler: game.nobody.x not found", None);
    player.refused("game.testsvc.testrequestreturnserror", b"woow", "PIT-555", "somerror", None);
    for route in
        ["game.testsvc.testrequestonlysessionreturnsptrnil", "game.testsvc.testrequestonlysessionreturnsrawnil"]
    {
        player.refused(route, b"", "PIT-000", "reply must not be null", None);
    }
    player.refused("nowhere.room.join", b"x", "PIT-500", "no servers available of this type", None);
    player.gets("game.room.join", b"still here", b"still here");
}

/// The texts are those of the decoders, and differ.
pub(super) fn unreadable(cluster: &Cluster) {
    let codec = cluster.row.codec;
    let mut player = cluster.player();
    let answer = player.ask("game.testsvc.testrequestreturnsptr", b"{\xff");
    assert!(answer.error && starts_with_code(codec, &answer.body, "PIT-400"), "{}", show(&answer.body));
    let answer = player.ask("game.room.setdata", b"{");
    assert!(answer.error && starts_with_code(codec, &answer.body, "ROOM-400"), "{}", show(&answer.body));
    assert!(show(&answer.body).contains("why"), "its metadata: {}", show(&answer.body));
}

/// Go tells the client what the panic said; ours tells the log.
pub(super) fn panics(cluster: &Cluster) {
    let mut player = cluster.player();
    for _ in 0..3 {
        match cluster.row.back {
            Program::Go => player.refused("game.room.panic", b"", "PIT-000", "on purpose", None),
            Program::Ours => player.refused("game.room.panic", b"", "PIT-500", "internal error", None),
        }
    }
    player.gets("game.room.join", b"still here", b"still here");
}

/// A frontend says PIT-408. A Go backend has a clock of its own, which says PIT-500 with the same text: whichever is first.
pub(super) fn time_out(cluster: &Cluster) {
    let mut player = cluster.player();
    let asked = Instant::now();
    let answer = player.ask("game.room.sleep", b"3s");
    let took = asked.elapsed();
    let said = |code| starts_with_code(cluster.row.codec, &answer.body, code);
    let by_the_back = cluster.row.back == Program::Go && said("PIT-500");
    let text = show(&answer.body);
    assert!(answer.error && (said("PIT-408") || by_the_back) && text.contains("rpc client: request timeout"), "{text}");
    assert!(by_the_back || text.contains("game.room.sleep"), "its metadata: {text}");
    assert!(took >= RPC_TIMEOUT.mul_f64(0.9) && took < RPC_TIMEOUT.mul_f64(1.4), "{took:?}");
    // The late answer finds nobody, and nobody is hurt.
    player.gets("game.room.sleep", b"10ms", b"slept");
}
