use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) {}

    #[route("join")]
    pub fn enter(&self) {}
}

fn main() {}
