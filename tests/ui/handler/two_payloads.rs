use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn add(&self, a: u32, _session: &Session, b: u32) -> u32 {
        a + b
    }
}

fn main() {}
