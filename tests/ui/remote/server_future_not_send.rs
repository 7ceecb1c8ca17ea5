use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
pub trait RoomApi {
    async fn ping(&self);
}

#[remote]
impl RoomApi for Room {
    async fn ping(&self) {
        let local = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(local);
    }
}

fn main() {}
