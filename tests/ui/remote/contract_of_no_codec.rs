use pitaya_runtime::prelude::*;

pub struct NotACodec;

#[remote(codec = NotACodec)]
pub trait RoomApi {
    async fn join(&self, name: String) -> Result<String>;
}

fn main() {}
