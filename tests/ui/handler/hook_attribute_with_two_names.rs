use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) {}

    #[on(init, shutdown)]
    fn open(&self) {}
}

fn main() {}
