//! Users by uid, on two frontends; in a mixed row these are of two languages.

use crate::cluster::{Cluster, rpc_to, unique};
use crate::etcd;
use crate::player::Player;
use serde_json::json;

/// A bound client of each frontend.
fn bound(cluster: &Cluster, route: &str) -> [(Player, String); 2] {
    [&cluster.front, &cluster.second].map(|server| {
        let mut player = cluster.player_on(server);
        let uid = player.bind(route);
        (player, uid)
    })
}

pub(super) fn pushed_to(cluster: &Cluster) {
    for bind in ["connector.testsvc.testbindid", "game.testsvc.testbindid"] {
        let [(mut one, first), (mut other, second)] = bound(cluster, bind);
        for (sender, msg) in [("connector", "from the front"), ("game", "from the back")] {
            // A uid that nobody has changes nothing for the others.
            let send = json!({ "uids": [first, unique("nobody"), second], "msg": msg }).to_string();
            one.notify(&format!("{sender}.testsvc.testsendtousers"), send.as_bytes());
            one.hears("route.sendtousers", msg.as_bytes());
            other.hears("route.sendtousers", msg.as_bytes());
        }
        assert_eq!((one.unheard(), other.unheard()), (0, 0));
    }
}

pub(super) fn kicked(cluster: &Cluster) {
    for sender in ["connector", "game"] {
        let mut judge = cluster.player();
        let [(mut one, first), (mut other, second)] = bound(cluster, "connector.testsvc.testbindid");
        let uids = json!([first, second]).to_string();
        judge.gets(&format!("{sender}.interop.kickusers"), uids.as_bytes(), b"kicked");
        one.is_kicked();
        other.is_kicked();
    }
}

pub(super) fn unique_between(cluster: &Cluster) {
    bound_twice(cluster, "connector.room.bindto");
    bound_twice(cluster, "game.room.bindto");
}

/// The same uid a second time: the first client goes, on whichever frontend it is.
fn bound_twice(cluster: &Cluster, route: &str) {
    let (front, second) = ((&cluster.front, &cluster.ids[0]), (&cluster.second, &cluster.ids[1]));
    for ((first, _), (then, id)) in [(front, second), (second, front)] {
        let mut old = cluster.player_on(first);
        let uid = old.bind(route);
        // A frontend tells the others of a bind without waiting. One that hears of it after it has bound the same uid
        // itself kicks the new client as well: it cannot know which was first. What is sent afterwards arrives afterwards.
        let call = rpc_to(id, "connector.testremotesvc.rpctestnoargs", "");
        assert!(!old.ask("interop.rpcto", &call).error);
        takes_over(&mut old, cluster.player_on(then), &uid, route);
    }
    let mut old = cluster.player();
    let uid = old.bind(route);
    takes_over(&mut old, cluster.player(), &uid, route);
}

fn takes_over(old: &mut Player, mut new: Player, uid: &str, route: &str) {
    new.gets(route, uid.as_bytes(), b"bound");
    old.is_kicked();
    // The new one stays, and is the one that hears.
    let send = json!({ "uids": [uid], "msg": "to the new one" }).to_string();
    new.notify("game.testsvc.testsendtousers", send.as_bytes());
    new.hears("route.sendtousers", b"to the new one");
    new.gets("game.room.echo", b"still here", b"still here");
}

pub(super) fn group(cluster: &Cluster) {
    let codec = cluster.row.codec;
    let mut one = cluster.player();
    let first = one.bind("connector.testsvc.testbindid");
    let mut other = cluster.player_on(&cluster.second);
    let second = other.bind("game.testsvc.testbindid");
    for sender in ["connector", "game"] {
        one.notify(&format!("{sender}.testsvc.testsendgroupmsg"), b"raw");
        one.notify(&format!("{sender}.testsvc.testsendgroupmsgptr"), &codec.request("typed"));
        for player in [&mut one, &mut other] {
            player.hears("route.test", b"raw");
            player.hears("route.testptr", &codec.request("typed"));
        }
    }
    let under = format!("{}groups/", cluster.prefix);
    let keys = etcd::range(&under);
    assert_eq!(keys[0], (format!("{under}g1"), String::new()));
    for uid in [first, second] {
        assert!(keys.contains(&(format!("{under}g1/uids/{uid}"), String::new())), "{uid} is not in {keys:?}");
    }
}
