use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(name = "")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
