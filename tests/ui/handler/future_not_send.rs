use pitaya_runtime::prelude::*;

use std::rc::Rc;

pub struct Room;

#[handler]
impl Room {
    pub async fn join(&self, session: &Session) -> Result<u64> {
        let local = Rc::new(7);
        session.bind("zoe").await?;
        Ok(*local)
    }
}

fn main() {}
