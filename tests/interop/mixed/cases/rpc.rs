//! Calls between servers, made by a handler for the client that watches.

use crate::cluster::{BACK, Cluster, FRONT, rpc_to};
use serde_json::json;

const LOCAL: &str =
    "you are making a rpc that may be processed locally, either specify a different server type or specify a server id";

fn call(route: &str) -> Vec<u8> {
    json!({ "route": route, "data": "thisthis" }).to_string().into_bytes()
}

pub(super) fn front_to_back(cluster: &Cluster) {
    calls(cluster, FRONT, BACK);
}

/// To one of two frontends, now this one and now that: in a mixed row they are of two languages.
pub(super) fn back_to_front(cluster: &Cluster) {
    for _ in 0..10 {
        calls(cluster, BACK, FRONT);
    }
}

fn calls(cluster: &Cluster, caller: &str, callee: &str) {
    let codec = cluster.row.codec;
    let mut player = cluster.player();
    let (with, without) = (format!("{caller}.testsvc.testsendrpc"), format!("{caller}.testsvc.testsendrpcnoargs"));
    let remote = |method: &str| call(&format!("{callee}.testremotesvc.{method}"));
    player.gets(&with, &remote("rpctestrawptrreturnsptr"), &codec.response(200, "got thisthis"));
    player.gets(&with, &remote("rpctestptrreturnsptr"), &codec.response(200, "got thisthis"));
    player.gets(&without, &remote("rpctestptrreturnsptr"), &codec.response(200, "got "));
    player.gets(&without, &remote("rpctestnoargs"), &codec.response(200, "got nothing"));
    player.gets(&with, &remote("rpctestnoargs"), &codec.response(200, "got nothing"));
    player.refused(&with, &remote("rpctestreturnserror"), "PIT-433", "test error", Some(("some", "meta")));
    let unknown = Some(("route", "testremotesvc.rpctestnotfound"));
    player.refused(&with, &remote("rpctestnotfound"), "PIT-404", "route not found", unknown);
}

pub(super) fn refused(cluster: &Cluster) {
    let mut player = cluster.player();
    for kind in [FRONT, BACK] {
        let route = format!("{kind}.testsvc.testsendrpc");
        let own = call(&format!("{kind}.testremotesvc.rpctestptrreturnsptr"));
        player.refused(&route, &own, "PIT-000", LOCAL, None);
        player.refused(&route, &call("nowhere.a.b"), "PIT-500", "no servers available of this type", None);
    }
}

pub(super) fn to_an_id(cluster: &Cluster) {
    let codec = cluster.row.codec;
    let mut player = cluster.player();
    let [front, second, back] = &cluster.ids;
    // To the same server type too, as long as it is another server.
    for (caller, kind, id) in [(FRONT, BACK, back), (FRONT, FRONT, second), (BACK, FRONT, front), (BACK, FRONT, second)]
    {
        let route = format!("{caller}.interop.rpcto");
        let remote = |method: &str| rpc_to(id, &format!("{kind}.testremotesvc.{method}"), "x");
        player.gets(&route, &remote("rpctestptrreturnsptr"), &codec.response(200, "got x"));
        player.refused(&route, &remote("rpctestreturnserror"), "PIT-433", "test error", Some(("some", "meta")));
        let unknown = Some(("route", "testremotesvc.nothing"));
        player.refused(&route, &remote("nothing"), "PIT-404", "route not found", unknown);
    }
    for (caller, own) in [(FRONT, front), (BACK, back)] {
        let route = format!("{caller}.interop.rpcto");
        let remote = format!("{BACK}.testremotesvc.rpctestnoargs");
        player.refused(&route, &rpc_to(own, &remote, ""), "PIT-000", LOCAL, None);
        player.refused(&route, &rpc_to("nobody", &remote, ""), "PIT-000", "server not found", None);
    }
}
