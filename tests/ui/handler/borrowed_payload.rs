use pitaya_runtime::prelude::*;

#[derive(serde::Deserialize)]
pub struct Join {
    pub name: String,
}

pub struct Room;

#[handler]
impl Room {
    pub async fn join(&self, msg: &Join) -> String {
        msg.name.clone()
    }
}

fn main() {}
