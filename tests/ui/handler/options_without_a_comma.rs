use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(name = "chat" codec = Json)]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
