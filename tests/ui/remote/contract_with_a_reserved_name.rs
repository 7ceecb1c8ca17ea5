use pitaya_runtime::prelude::*;

#[remote]
pub trait RoomApi {
    async fn on(&self);
}

fn main() {}
