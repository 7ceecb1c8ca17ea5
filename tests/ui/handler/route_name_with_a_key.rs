use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route(name = "enter")]
    pub fn join(&self) {}
}

fn main() {}
