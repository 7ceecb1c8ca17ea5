//! Who is there.

use crate::cluster::{BACK, Cluster, FRONT, eventually, rpc_to};
use crate::etcd;
use crate::player::Player;
use crate::server::Program;
use pitaya_tests::PATIENCE;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What the servers wrote of themselves. That of a Go server says `"metadata":null`, and it is understood: all the other
/// cases need it.
pub(super) fn records(cluster: &Cluster) {
    let [front, second, back] = &cluster.ids;
    let under = format!("{}servers/", cluster.prefix);
    let records = etcd::range(&under);
    for (server, kind, id) in
        [(&cluster.front, FRONT, front), (&cluster.second, FRONT, second), (&cluster.back, BACK, back)]
    {
        let key = format!("{under}{kind}/{id}");
        let (_, record) =
            records.iter().find(|(found, _)| *found == key).unwrap_or_else(|| panic!("{key}: {records:?}"));
        let record: Value = serde_json::from_str(record).expect("a record is JSON");
        assert_eq!(
            (&record["id"], &record["type"], &record["frontend"]),
            (&json!(id), &json!(kind), &json!(kind == FRONT))
        );
        let metadata = &record["metadata"];
        match server.program {
            Program::Go => assert_eq!(*metadata, Value::Null),
            // Go refuses a record with a value that is no text.
            Program::Ours => {
                let texts = metadata.as_object().is_none_or(|values| values.values().all(Value::is_string));
                assert!(texts && !metadata.is_string(), "{record}");
            }
        }
    }
}

/// A server of a new type, of either language: both are called at once, and not after they have gone.
pub(super) fn comes_and_goes(cluster: &Cluster) {
    let mut player = cluster.player();
    for (kind, program) in [("late1", cluster.row.front), ("late2", cluster.row.back)] {
        let server = cluster.join(program, kind, false);
        let ready = Instant::now();
        let second = Duration::from_secs(1);
        let left = || (ready + second).saturating_duration_since(Instant::now());
        eventually("the frontend forwards to it", left(), || !player.ask(&format!("{kind}.room.echo"), b"x").error);
        let id = player.ask(&format!("{kind}.interop.id"), b"").text().to_owned();
        let call = rpc_to(&id, &format!("{kind}.testremotesvc.rpctestnoargs"), "");
        eventually("the backend calls it", left(), || !player.ask("game.interop.rpcto", &call).error);
        println!("{}: {} is known to all after {} ms", cluster.row, server.program.name(), ready.elapsed().as_millis());
        server.terminate();
        let gone = "no servers available of this type";
        let route = format!("{kind}.room.echo");
        eventually("the frontend knows that it has gone", second, || {
            player.ask(&route, b"x").body == cluster.row.codec.error("PIT-500", gone, None)
        });
    }
}

/// Two backends of one type; in a mixed row they are of two languages.
pub(super) fn two_backends(cluster: &Cluster) {
    let other = cluster.join(cluster.row.front, BACK, false);
    let mut players: Vec<_> = (0..8).map(|_| cluster.player()).collect();
    let mut seen = BTreeSet::new();
    eventually("both are asked", PATIENCE, || {
        // A frontend may keep to one backend for as long as a client stays.
        players.push(cluster.player());
        seen.extend(players.iter_mut().map(|player| player.ask("game.interop.id", b"").text().to_owned()));
        seen.len() == 2
    });
    assert!(seen.contains(&cluster.ids[2]), "{seen:?}");
    // Bound through whichever, known to both.
    let uids: Vec<_> = players.iter_mut().map(|player| player.bind("game.testsvc.testbindid")).collect();
    for player in &mut players {
        player.refused("game.room.bindto", b"else", "ROOM-BIND", "session is already bound to an uid", None);
    }
    let send = json!({ "uids": uids, "msg": "to all" }).to_string();
    players[0].notify("game.testsvc.testsendtousers", send.as_bytes());
    players.iter_mut().for_each(|player| player.hears("route.sendtousers", b"to all"));
    other.terminate();
    let mut asked = |player: &mut Player| player.ask("game.interop.id", b"").body == cluster.ids[2].as_bytes();
    eventually("the one that stays is asked", Duration::from_secs(1), || players.iter_mut().all(&mut asked));
}
