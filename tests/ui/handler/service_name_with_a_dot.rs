use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(name = "chat.room")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
