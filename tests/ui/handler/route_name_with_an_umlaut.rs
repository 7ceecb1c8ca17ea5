use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route("größe")]
    pub fn join(&self) {}
}

fn main() {}
