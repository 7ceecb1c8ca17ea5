use pitaya_runtime::prelude::*;

pub struct Full;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) {}

    #[on(init)]
    async fn open(&self) -> Result<(), Full> {
        Err(Full)
    }
}

fn main() {}
