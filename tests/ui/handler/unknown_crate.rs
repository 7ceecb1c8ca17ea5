use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(crate = my_game::pitaya)]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
