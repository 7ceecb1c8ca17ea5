use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(codec(Json, Json))]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
