use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join<T>(&self, msg: T) {
        drop(msg);
    }
}

fn main() {}
