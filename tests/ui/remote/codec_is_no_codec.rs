use pitaya_runtime::prelude::*;

pub struct NotACodec;

pub struct Room;

#[remote(codec = NotACodec)]
impl Room {
    pub fn join(&self, name: String) -> Result<String> {
        Ok(name)
    }
    pub async fn leave(&self, name: String) {
        drop(name);
    }
}

fn main() {}
