use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route(notify)]
    pub fn join(&self) -> u32 {
        7
    }
}

fn main() {}
