use pitaya_runtime::prelude::*;

pub struct Room;

pub trait RoomApi {
    fn ping(&self);
}

#[remote]
impl RoomApi for Room {
    fn ping(&self) {}
}

fn main() {}
