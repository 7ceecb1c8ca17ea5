use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(name = 7)]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
