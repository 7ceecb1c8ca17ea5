use pitaya_runtime::prelude::*;

pub struct NotACodec;

pub struct Room;

#[handler(codec(Json, NotACodec))]
impl Room {
    pub fn join(&self, name: String) -> String {
        name
    }
    pub async fn leave(&self) {}
}

fn main() {}
