use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, cx: Context) -> u64 {
        cx.message_id()
    }
}

fn main() {}
