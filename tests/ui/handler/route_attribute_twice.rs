use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route("enter")]
    #[route(notify)]
    pub fn join(&self) {}
}

fn main() {}
