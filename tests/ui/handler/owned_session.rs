use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub async fn join(&self, session: Session) -> Result<()> {
        session.bind("zoe").await
    }
}

fn main() {}
