use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub unsafe fn join(&self) {}
}

fn main() {}
