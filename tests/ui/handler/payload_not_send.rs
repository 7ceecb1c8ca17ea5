use pitaya_runtime::prelude::*;

use std::rc::Rc;

#[derive(serde::Deserialize)]
pub struct Join {
    #[serde(skip)]
    pub name: Rc<str>,
}

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, msg: Join) -> String {
        msg.name.to_string()
    }
}

fn main() {}
