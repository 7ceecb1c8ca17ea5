use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
impl Room {
    pub fn who(&self, session: &Session) {
        let _ = session;
    }
}

fn main() {}
