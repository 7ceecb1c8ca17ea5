use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, session: &mut Session) {
        let _ = session;
    }
}

fn main() {}
