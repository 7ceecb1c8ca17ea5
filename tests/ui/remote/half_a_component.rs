use pitaya_runtime::prelude::*;

struct Lobby;

#[handler]
impl Lobby {
    pub fn ping(&self) {}
}

fn main() {
    let _ = Builder::new("chat").component(Lobby);
}
