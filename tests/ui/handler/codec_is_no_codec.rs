use pitaya_runtime::prelude::*;

pub struct NotACodec;

pub struct Room;

#[handler(codec = NotACodec)]
impl Room {
    pub fn join(&self, name: String) -> String {
        name
    }
}

fn main() {}
