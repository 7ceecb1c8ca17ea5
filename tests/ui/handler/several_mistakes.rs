//! All of them are reported, each once; what is right still works.

use pitaya_runtime::prelude::*;
use pitaya_runtime::Handlers;

pub struct Join;

pub struct Room;

#[handler(nmae = "room")]
impl Room {
    pub fn leave(&mut self) {}

    #[route(notfy)]
    pub fn say(&self, text: String) {
        drop(text);
    }

    pub fn new() -> Self {
        Self
    }

    /// The bad payload of a method that the macro can emit.
    pub fn join(&self, msg: Join) {
        drop(msg);
    }

    pub async fn name(&self, session: &Session) -> Result<String> {
        Ok(session.id().to_string())
    }
}

fn main() {
    let _routes = Room::HANDLERS.service.routes;
    let _app = Builder::new("chat").handlers(Room).build();
}
