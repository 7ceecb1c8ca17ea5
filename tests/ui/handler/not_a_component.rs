use pitaya_runtime::prelude::*;

pub struct Lobby;

impl Lobby {
    pub fn join(&self) {}
}

fn main() {
    let _app = Builder::new("chat").handlers(Lobby).build();
}
