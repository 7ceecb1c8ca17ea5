use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(name = "room", name = "chat")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
