use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route(notify = true)]
    pub fn join(&self) {}
}

fn main() {}
