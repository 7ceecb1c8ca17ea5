use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) {}

    #[on(init)]
    fn open(&self) -> Result<u32> {
        Ok(7)
    }
}

fn main() {}
