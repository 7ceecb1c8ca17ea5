use pitaya_runtime::prelude::*;

struct Lobby;

fn main() {
    let _ = Builder::new("chat").remotes(Lobby);
}
