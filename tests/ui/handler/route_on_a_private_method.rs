use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) {
        self.helper();
    }

    #[route("help")]
    fn helper(&self) {}
}

fn main() {}
