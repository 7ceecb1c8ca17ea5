use pitaya_runtime::prelude::*;

pub struct Room;

#[remote(client = "Rooms")]
impl Room {
    pub fn ping(&self) {}
}

fn main() {}
