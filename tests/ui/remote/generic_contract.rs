use pitaya_runtime::prelude::*;

#[remote]
pub trait RoomApi<T> {
    fn ping(&self, t: T);
}

fn main() {}
