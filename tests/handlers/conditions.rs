//! `#[cfg]` and `#[cfg_attr]` inside a block: each configuration is a method of its own. `all()` holds, `any()` does not.

#![allow(clippy::non_minimal_cfg, reason = "conditions that always hold")]

use crate::link::{Server, body};
use pitaya_runtime::prelude::*;
use pitaya_runtime::{Handlers, handler::Kind};

pub struct Room;

#[handler]
impl Room {
    pub fn one_payload(&self, #[cfg(all())] n: u32, #[cfg(any())] n: String, cx: &Context) -> u32 {
        let _ = cx;
        n + 1
    }
    pub async fn later(&self, #[cfg(any())] n: u32, #[cfg(not(any()))] text: String) -> String {
        text
    }
    pub fn nothing_left(&self, #[cfg(any())] n: u32, #[cfg(any())] gone: &Gone) -> u8 {
        7
    }
    #[cfg_attr(all(), route("named", code = 9), inline)]
    pub fn unnamed(&self) -> u8 {
        1
    }
    #[cfg_attr(any(), route("other"))]
    #[cfg_attr(any(), on(init))]
    pub fn plain(&self) -> u8 {
        2
    }
    #[cfg_attr(all(), cfg_attr(all(), on(shutdown)))]
    async fn close(&self, #[cfg(any())] gone: &Gone, event: &AppEvent) {
        let _ = event;
    }
    pub fn nested(
        &self,
        #[cfg_attr(all(), cfg(all()))] n: u32,
        #[cfg_attr(all(), cfg_attr(all(), cfg(any())))] gone: Gone,
        #[cfg_attr(any(), cfg(any()))] cx: &Context,
    ) -> u32 {
        let _ = cx;
        n + 10
    }
    /// Wrong in many ways, and not there.
    #[cfg_attr(all(), cfg(any()))]
    pub fn named(&mut self, a: Gone, b: Gone) -> &Gone {
        loop {}
    }
    /// Wrong in many ways, and not there.
    #[cfg(any())]
    #[route(nonsense)]
    pub fn absent(&mut self, a: Gone, b: Gone) -> &Gone {
        loop {}
    }
    #[cfg(any())]
    pub fn twice(&self) -> u8 {
        1
    }
    #[cfg(all())]
    pub fn twice(&self) -> u8 {
        3
    }
}

#[test]
fn each_configuration_has_its_row() {
    let server = Server::of("json", Room);
    assert_eq!(server.call("room.one_payload", "4"), body("5"));
    assert_eq!(server.call("room.later", "\"x\""), body("\"x\""));
    assert_eq!(server.call("room.nothing_left", ""), body("7"));
    assert_eq!(server.call("room.named", ""), body("1"));
    assert_eq!(server.call("room.plain", ""), body("2"));
    assert_eq!(server.call("room.nested", "4"), body("14"));
    assert_eq!(server.call("room.twice", ""), body("3"));
    let service = const { &Room::HANDLERS }.service;
    let names: Vec<_> = service.routes.iter().map(|route| route.name).collect();
    assert_eq!(names, ["one_payload", "later", "nothing_left", "named", "plain", "nested", "twice"]);
    let shown: Vec<_> = service.routes.iter().map(|route| (route.kind, route.payload, route.code)).collect();
    assert_eq!(shown[0], (Kind::Request, Some("u32"), 0));
    assert_eq!(shown[2], (Kind::Request, None, 0));
    assert_eq!(shown[3], (Kind::Request, None, 9));
    assert_eq!(const { &Room::HANDLERS }.hooks.len(), 1);
}

/// The stub of a remote has the arguments of its configuration, too.
pub struct Bank;

#[remote(codec = Json)]
impl Bank {
    pub async fn balance(&self, #[cfg(all())] uid: String, #[cfg(not(all()))] id: u32) -> Result<usize> {
        Ok(uid.len())
    }
}

#[test]
fn a_stub_takes_what_its_remote_takes() {
    let _ = |bank: BankClient| async move { bank.balance(&"ann".to_owned()).await };
    assert_eq!(const { &<Bank as pitaya_runtime::Remotes>::REMOTES }.service.routes[0].payload, Some("String"));
    drop(Bank.balance("ann".to_owned()));
}
