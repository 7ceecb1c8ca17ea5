use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
pub trait RoomApi {
    fn ping(&self);
}

#[remote]
impl RoomApi for Room {
    fn ping(&self) {}
}

#[remote]
impl Room {
    pub fn pong(&self) {}
}

fn main() {}
