use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
impl Room {
    #[route("ping", concurrent, code = 7)]
    pub fn pong(&self) {}
}

fn main() {}
