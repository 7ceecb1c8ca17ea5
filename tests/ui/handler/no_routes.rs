use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    fn join(&self) {}
}

fn main() {}
