use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route("enter", "come")]
    pub fn join(&self) {}
}

fn main() {}
