//! What a backend does with a session that a frontend holds.

use crate::body::starts_with_code;
use crate::cluster::{Cluster, unique};
use crate::player::show;
use crate::server::Program;
use serde_json::{Value, json};

/// Many times: a push that is lost is lost by microseconds.
pub(super) fn bind_then_push(cluster: &Cluster) {
    for _ in 0..20 {
        let mut player = cluster.player();
        let uid = unique("user");
        player.gets("game.interop.bindpush", uid.as_bytes(), b"bound and pushed");
        if (cluster.row.front, cluster.row.back) == (Program::Ours, Program::Ours) {
            assert_eq!(player.unheard(), 1, "between our own servers an answer does not overtake a push");
        }
        player.hears("onBound", uid.as_bytes());
    }
}

pub(super) fn bound_once(cluster: &Cluster) {
    let bound = "session is already bound to an uid";
    for (first, then) in [("game", "connector"), ("connector", "game")] {
        let mut player = cluster.player();
        let uid = player.bind(&format!("{first}.room.bindto"));
        for side in [then, first] {
            for uid in [&*uid, "else"] {
                player.refused(&format!("{side}.room.bindto"), uid.as_bytes(), "ROOM-BIND", bound, None);
            }
        }
    }
}

pub(super) fn pushes(cluster: &Cluster) {
    let mut player = cluster.player();
    let uid = player.bind("game.room.bindto");
    player.gets("game.room.pushme", b"a push", b"after two pushes");
    player.hears("onPush", b"a push");
    player.hears("onMove", &cluster.row.codec.step(&uid));
    player.notify("game.room.told", b"told");
    player.hears("onTold", b"told");
    assert_eq!(player.unheard(), 0);
}

pub(super) fn data(cluster: &Cluster) {
    let mut player = cluster.player();
    let mut set_at = |side: &str, data: &Value| {
        let wanted: &[u8] = if side == "game" { b"pushed" } else { b"front" };
        player.gets(&format!("{side}.room.setdata"), data.to_string().as_bytes(), wanted);
        for reader in ["connector", "game"] {
            let mut read = player.ask(&format!("{reader}.room.getdata"), b"").json();
            // Go keeps it among the data, for every app to see and to lose; ours keeps it beside them, so that it stays.
            if let Some(version) = read.as_object_mut().and_then(|data| data.remove("ipversion")) {
                assert_eq!(version, "ipv4");
            }
            assert_eq!(read, *data, "set at the {side}, read at the {reader}");
        }
    };
    set_at("game", &json!({ "level": 7, "neg": -3, "ratio": 0.5, "name": "Zoë", "on": true, "list": [1, "x", null] }));
    set_at("connector", &json!({ "front": 1, "nest": { "a": { "b": 1 } } }));
    // All of it is replaced, also by another backend's view.
    set_at("game", &json!({ "uid": "", "<&>": "\u{2028}" }));
}

pub(super) fn kicked(cluster: &Cluster) {
    for route in ["game.room.kickme", "game.testsvc.testrequestkickme"] {
        let mut player = cluster.player();
        player.bind("game.room.bindto");
        player.asks_to_be_kicked(route);
    }
    if cluster.row.back == Program::Go {
        let unbound = "you have to bind an UID to the session to do that";
        cluster.player().refused("game.room.kickme", b"", "PIT-000", unbound, None);
    }
    // By uid, at the frontend that has it.
    let (mut judge, mut player) = (cluster.player(), cluster.player());
    let uid = player.bind("game.room.bindto");
    let ok = cluster.row.codec.response(200, "ok");
    judge.gets("connector.testsvc.testrequestkickuser", uid.as_bytes(), &ok);
    player.is_kicked();
    let answer = judge.ask("connector.testsvc.testrequestkickuser", uid.as_bytes());
    assert!(starts_with_code(cluster.row.codec, &answer.body, "PIT-404"), "it is gone: {}", show(&answer.body));
}
