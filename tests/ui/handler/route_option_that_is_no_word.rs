use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route(7)]
    pub fn join(&self) {}
}

fn main() {}
