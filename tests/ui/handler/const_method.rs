use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub const fn join(&self) {}
}

fn main() {}
