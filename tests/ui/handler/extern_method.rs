use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub extern "C" fn join(&self) {}
}

fn main() {}
