use pitaya_runtime::prelude::*;

pub struct Join {
    pub name: String,
}

pub struct Room;

#[handler(codec(Json, Protobuf))]
impl Room {
    pub fn join(&self, msg: Join) {
        drop(msg.name);
    }
}

fn main() {}
