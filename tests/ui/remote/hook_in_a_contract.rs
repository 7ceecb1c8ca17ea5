use pitaya_runtime::prelude::*;

#[remote]
pub trait RoomApi {
    #[on(init)]
    fn open(&self);
    fn ping(&self);
}

fn main() {}
