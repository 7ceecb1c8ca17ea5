//! A contract in a crate of its own: those who call it know it alone, those who serve it implement it.

use crate::support::server;
use pitaya_runtime::Remotes;
use pitaya_runtime::prelude::*;
use pitaya_tests::contract::{LobbyApi as Api, LobbyApiClient, MembersReply, MembersRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use tokio::sync::Notify;

#[derive(Default)]
pub struct Lobby {
    left: AtomicU32,
    heard: Notify,
}

/// Under an alias of the trait.
#[remote]
impl Api for Lobby {
    async fn members_of(&self, req: MembersRequest) -> Result<MembersReply> {
        tokio::task::yield_now().await;
        Ok(MembersReply { names: vec![req.room] })
    }
    fn left(&self, _: MembersRequest) {
        self.left.fetch_add(1, SeqCst);
        self.heard.notify_one();
    }
}

pub trait Names: Send + Sync + 'static {
    fn name(&self) -> String;
}

impl Names for u8 {
    fn name(&self) -> String {
        self.to_string()
    }
}

/// A server over anything that has names, its block written by a macro.
pub struct Wide<N>(N);

macro_rules! serve {
    ($api:path, $t:ty, $n:ident: $bound:path, $req:ty, $ret:ty) => {
        #[remote]
        impl<$n: $bound> $api for $t {
            async fn members_of(&self, _: $req) -> $ret {
                Ok(MembersReply { names: vec![self.0.name()] })
            }
            fn left(&self, _: $req) {}
            async fn greeting(&self, _: &RemoteContext) -> Result<MembersRequest> {
                Err(Error::new("WIDE-1", "no"))
            }
        }
    };
}
serve!(pitaya_tests::contract::LobbyApi, Wide<N>, N: Names, MembersRequest, Result<MembersReply>);

#[tokio::test]
async fn callers_need_only_the_contract() {
    let cluster = LocalCluster::default();
    let lobby = Arc::new(Lobby::default());
    server(&cluster, Builder::new("lobby").shared_remotes(lobby.clone())).await;
    server(&cluster, Builder::new("wide").remotes(Wide(7))).await;
    let game = server(&cluster, Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0"))).await;

    let api = LobbyApiClient::new(game.rpc(), "lobby");
    let a = MembersRequest { room: "a".to_owned() };
    assert_eq!(api.members_of(&a).await, Ok(MembersReply { names: vec!["a".to_owned()] }));
    assert_eq!(api.greeting().await, Ok(MembersRequest { room: "hello game".to_owned() }));
    assert_eq!(api.left(&a).await, Ok(()));
    lobby.heard.notified().await;
    assert_eq!(lobby.left.load(SeqCst), 1);

    let api = LobbyApiClient::new(game.rpc(), "wide");
    assert_eq!(api.members_of(&a).await, Ok(MembersReply { names: vec!["7".to_owned()] }));
    assert_eq!(api.greeting().await.expect_err("its own").code(), "WIDE-1");
}

#[test]
fn the_table_is_the_contracts_and_the_place_is_the_servers() {
    let (lobby, wide) = (Lobby::REMOTES.service, <Wide<u8> as Remotes>::REMOTES.service);
    let names: Vec<_> = lobby.routes.iter().map(|route| route.name).collect();
    assert_eq!((lobby.name, names), ("lobby_api", vec!["membersof", "left", "greeting"]));
    assert_eq!((lobby.type_name, wide.type_name, lobby.codecs), ("Lobby", "Wide", &["protobuf"][..]));
    assert_eq!(lobby.routes[0].docs, "Who is in the room.");
    assert!(lobby.location.contains("contract.rs:") && lobby.location != wide.location, "{}", lobby.location);
    let declared = |name: &str| pitaya_runtime::declared().iter().filter(|known| known.type_name == name).count();
    assert_eq!((declared("Lobby"), declared("LobbyApi")), (1, 0), "a contract by itself mounts nothing");
}

#[test]
fn two_servers_of_a_contract_in_one_app_are_told_apart() {
    let error = Builder::new("lobby").remotes(Lobby::default()).remotes(Wide(1)).build().expect_err("twice");
    let (lobby, wide) = (Lobby::REMOTES.service.location, <Wide<u8> as Remotes>::REMOTES.service.location);
    let text = format!("the route `lobby_api.membersof` is exposed twice: at {lobby} and at {wide}");
    assert!(error.to_string().contains(&text), "{error}");
}
