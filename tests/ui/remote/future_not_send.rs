use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
impl Room {
    pub async fn ping(&self) {
        let local = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(local);
    }
}

fn main() {}
