use pitaya_runtime::prelude::*;

pub struct Room;

#[remote(codec(Json, Protobuf))]
impl Room {
    pub fn ping(&self) {}
}

fn main() {}
