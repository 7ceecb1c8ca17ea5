use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route(code = 7)]
    pub fn join(&self) {}

    #[route(code = 7)]
    pub fn leave(&self) {}
}

fn main() {}
