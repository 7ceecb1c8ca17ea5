use pitaya_runtime::prelude::*;

pub struct Room;

pub trait Chat {
    fn join(&self);
}

#[handler]
impl Chat for Room {
    fn join(&self) {}
}

fn main() {}
