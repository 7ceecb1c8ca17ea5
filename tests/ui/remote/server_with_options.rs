use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
pub trait RoomApi {
    fn ping(&self);
}

#[remote(name = "hall")]
impl RoomApi for Room {
    #[route("pong")]
    fn ping(&self) {}
}

fn main() {}
