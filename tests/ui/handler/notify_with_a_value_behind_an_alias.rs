use pitaya_runtime::prelude::*;

pub type Count = Result<u32>;

pub struct Room;

#[handler]
impl Room {
    #[route(notify)]
    pub async fn join(&self) -> Count {
        Ok(7)
    }
}

fn main() {}
