use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route(code = 0)]
    pub fn join(&self) {}
}

fn main() {}
