use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(nmae = "room")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
