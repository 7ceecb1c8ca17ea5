use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(name = "sys")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
