use pitaya_runtime::prelude::*;

pub struct Join {
    pub name: String,
}

pub struct Room;

#[handler]
impl Room {
    pub async fn join(&self, msg: Join) -> String {
        msg.name
    }
}

fn main() {}
