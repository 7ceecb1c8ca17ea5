use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route("come in")]
    pub fn join(&self) {}
}

fn main() {}
