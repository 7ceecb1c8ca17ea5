use pitaya_runtime::prelude::*;

pub struct Room;

#[remote(clients = false)]
impl Room {
    pub fn ping(&self) {}
}

fn main() {}
