use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
impl my_contracts::RoomApi for Room {
    fn ping(&self) {}
}

fn main() {}
