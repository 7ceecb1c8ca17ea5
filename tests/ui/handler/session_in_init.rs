use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) {}

    #[on(init)]
    async fn open(&self, session: &Session) {
        let _ = session.id();
    }
}

fn main() {}
