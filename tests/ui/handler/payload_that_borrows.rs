use pitaya_runtime::prelude::*;

use std::borrow::Cow;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, name: Cow<'_, str>) -> String {
        name.into_owned()
    }
}

fn main() {}
